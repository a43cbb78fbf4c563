"""Writing the report's files: the same bytes for the same metrics."""

from __future__ import annotations

from pathlib import Path

from stages import artifacts
from stages.report import exports, page
from stages.report import results as tidy
from stages.report.figures import pretraining, scores, style, tuning
from stages.report.inputs import Inputs
from stages.report.web import page as web


def build(inputs: Inputs, folder: Path) -> None:
    """Write ``results.csv``, ``figures/``, ``tables/``, ``report.md`` and ``index.html`` under `folder`."""
    results = tidy.collect(inputs)
    content = page.content(inputs, results)
    markdown = page.render(content)
    texts = {
        "results.csv": tidy.to_csv(results),
        "report.md": markdown,
        "index.html": web.render(inputs, results, markdown),
    }
    with artifacts.atomic_folder(folder / "figures") as figures, style.styled():
        style.save(scores.scores(inputs, results), figures / "scores.svg")
        style.save(pretraining.pretraining(inputs), figures / "pretraining.svg")
        style.save(tuning.tuning(inputs, results), figures / "tuning.svg")
    with artifacts.atomic_folder(folder / "tables") as tables:
        exports.write(page.tables(content), tables)
    for name, text in texts.items():
        with artifacts.atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
