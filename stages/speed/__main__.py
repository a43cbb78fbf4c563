"""Measure the compressed models beside what they were made from, and pre-training objectives beside each other.

    python -m stages.speed

Reads data/metrics/evaluate besides models; writes speed.csv, speed.md, speed.svg and pareto.svg in reports/. Two
measurements are never alike, so none is a DVC out: the stage runs when a model changed, and what it says holds for the
machine that it ran on. Models take turns, batch by batch, and objectives step by step, so that a machine that slows
down slows all, and ratios are those of medians over the same rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, measure every task's models, write, log."""
    command.parser("stages.speed", __doc__).parse_args(argv)
    settings = params.load()
    with tracking.run(
        kind="speed",
        name="speed",
        params={"threads": settings.engine.threads},
        tags={},
        inputs=[paths.MODELS / "selected", paths.MODELS / "compressed", paths.PACKED],
        outputs=[],
    ) as run:
        from stages.report.figures import style
        from stages.speed import models, page, pareto, training

        phases = training.measure(settings)
        rows = models.measure_all(settings) + training.rows(settings, phases)
        with style.styled():
            figures = {"speed": training.figure(settings, phases), "pareto": pareto.figure(settings, rows)}
            page.write(rows, figures, paths.REPORTS)
        run.summary({f"{row.subject}.{row.figure}".replace("/", "."): row.value for row in rows})
        run.artifact(paths.REPORTS / "speed.csv")


if __name__ == "__main__":
    command.run(main)
