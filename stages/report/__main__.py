"""Write the report from the metrics of what `params.yaml` lists.

    python -m stages.report

Reads data/metrics and data/curves; writes reports/report.md, reports/results.csv and reports/figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, read, build, log."""
    command.parser("stages.report", __doc__).parse_args(argv)
    settings = params.load()

    page, table, figures = (paths.REPORTS / name for name in ("report.md", "results.csv", "figures"))
    with tracking.run(
        kind="report",
        name="report",
        params={"seeds": settings.seeds, "tasks": settings.tasks, "objectives": settings.pretrain.objectives},
        tags={},
        inputs=[paths.METRICS, paths.CURVES],
        outputs=[page, table, figures],
    ) as run:
        from stages.report import inputs
        from stages.report.build import build

        build(inputs.read(settings), paths.REPORTS)
        for file in (page, table, *sorted(figures.iterdir())):
            run.artifact(file)


if __name__ == "__main__":
    command.run(main)
