"""Writing the report's files: the same bytes for the same metrics."""

from __future__ import annotations

from pathlib import Path

from stages import artifacts
from stages.report import page
from stages.report import results as tidy
from stages.report.figures import pretraining, scores, style
from stages.report.inputs import Inputs


def build(inputs: Inputs, folder: Path) -> None:
    """Write ``results.csv``, ``figures/`` and ``report.md`` under `folder`."""
    results = tidy.collect(inputs)
    texts = {"results.csv": tidy.to_csv(results), "report.md": page.render(inputs, results)}
    with artifacts.atomic_folder(folder / "figures") as figures, style.styled():
        style.save(scores.scores(inputs, results), figures / "scores.svg")
        style.save(pretraining.pretraining(inputs), figures / "pretraining.svg")
    for name, text in texts.items():
        with artifacts.atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
