"""Measure the compressed models beside what they were made from.

    python -m stages.speed

Writes reports/speed.csv and reports/speed.md. Two measurements are never alike, so neither is a DVC out: the
stage runs when a model changed, and what it says holds for the machine that it ran on. The models take turns, batch
by batch, so that a machine that slows down slows both, and ratios are those of medians over the same rounds.
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
        inputs=[paths.MODELS / "selected", paths.MODELS / "compressed"],
        outputs=[],
    ) as run:
        from stages.speed import measure

        rows = measure.measure_all(settings)
        measure.write(rows, paths.REPORTS)
        run.summary({f"{row.subject}.{row.figure}".replace("/", "."): row.value for row in rows})
        run.artifact(paths.REPORTS / "speed.csv")


if __name__ == "__main__":
    command.run(main)
