"""Writing the report's files: the same bytes for the same metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from stages import artifacts
from stages.report import exports, page
from stages.report import results as tidy
from stages.report.figures import diagnoses, pretraining, scores, style, tuning, zero_shot
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.web import page as web


def build(inputs: Inputs, folder: Path) -> None:
    """Write ``results.csv``, ``figures/``, ``tables/``, ``report.md`` and ``index.html`` under `folder`."""
    results = tidy.collect(inputs)
    content = page.content(inputs, results)
    texts = {
        "results.csv": tidy.to_csv(results),
        "report.md": page.render(content),
        "index.html": web.render(inputs, results, page.render(page.marked(content))),
    }
    with artifacts.atomic_folder(folder / "figures") as figures, style.styled():
        for name, figure in _figures(inputs, results):
            style.save(figure, figures / f"{name}.svg")
    with artifacts.atomic_folder(folder / "tables") as tables:
        exports.write(page.tables(content), tables)
        exports.write_curves(inputs, tables)
    for name, text in texts.items():
        with artifacts.atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _figures(inputs: Inputs, results: Results) -> Iterator[tuple[str, Figure]]:
    """Those that ``report.md`` shows, by name."""
    yield "scores", scores.scores(inputs, results)
    yield "pretraining", pretraining.pretraining(inputs)
    yield "tuning", tuning.tuning(inputs, results)
    if inputs.params.zero_shot.sources:
        yield "zero_shot", zero_shot.zero_shot(inputs, results)
    if any(item.calibration for item in inputs.diagnoses):
        yield "reliability", diagnoses.reliability(inputs.diagnoses)
        if any(item.disturbed for item in inputs.diagnoses):
            yield "noise", diagnoses.noise(inputs.diagnoses)
