"""Write the report from the metrics of what `params.yaml` lists.

    python -m stages.report

Reads data/metrics and data/curves; writes reports/index.html to look at, reports/report.md for git hosts with its
figures, and reports/results.csv for programs. What cannot be read is named on the page; the rest is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, read, build, log."""
    command.parser("stages.report", __doc__).parse_args(argv)
    settings = params.load()

    pages = [paths.REPORTS / name for name in ("index.html", "report.md", "results.csv")]
    figures, tables = paths.REPORTS / "figures", paths.REPORTS / "tables"
    with tracking.run(
        kind="report",
        name="report",
        params={"seeds": settings.seeds, "tasks": settings.tasks, "objectives": settings.pretrain.objectives},
        tags={},
        inputs=[paths.METRICS, paths.CURVES],
        outputs=[*pages, figures, tables],
    ) as run:
        from stages.report import inputs
        from stages.report.build import build

        found = inputs.read(settings)
        build(found, paths.REPORTS)
        for problem in found.problems:
            print(f"not shown in the report: {problem}")
        for file in (*pages, *sorted(figures.iterdir())):
            run.artifact(file)


if __name__ == "__main__":
    command.run(main)
