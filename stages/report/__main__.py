"""Write the report from the metrics of what `params.yaml` lists.

    python -m stages.report
    python -m stages.report --compare HEAD~1 HEAD      what changed between two revisions or experiments

Reads data/metrics and data/curves; writes reports/index.html to look at, reports/report.md for git hosts with its
figures, and reports/results.csv for programs. What cannot be read is named on the page; the rest is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, read, build, log."""
    parser = command.parser("stages.report", __doc__)
    parser.add_argument("--compare", nargs=2, metavar="REV", help="print what changed between two, and write nothing")
    if compared := parser.parse_args(argv).compare:
        _compare(*compared)
        return
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


def _compare(before: str, after: str) -> None:
    """Print the tables in markdown."""
    from stages.report import compare
    from stages.report.page import table

    sides = compare.Revision.read(before), compare.Revision.read(after)
    for title, found in (("Parameters", compare.params(*sides)), ("Scores", compare.scores(*sides))):
        print(f"## {title}\n")
        print(table(found) if found.rows else f"All {title.lower()} are the same.")


if __name__ == "__main__":
    command.run(main)
