"""What `tests/benchmarks` measured, each against a named peer in one run."""

from __future__ import annotations

from stages.report.formats import ABSENT, code
from stages.report.inputs import Benchmark
from stages.report.tables import Table


def benchmarks(rows: list[Benchmark]) -> Table:
    """One row a figure; deviations are those over seeds or turns, where there were several."""
    return Table(
        header=["benchmark", "figure", "peer", "ours", "of the peer", "ratio"],
        rows=[
            [
                code(row.benchmark),
                row.figure,
                row.peer,
                _measured(row.value, row.deviation, row.unit),
                _measured(row.peer_value, row.peer_deviation, row.unit),
                f"{row.ratio:.2f}",
            ]
            for row in rows
        ],
        names=3,
    )


def _measured(value: float | None, deviation: float | None, unit: str) -> str:
    if value is None:
        return ABSENT
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3f}"
    return text + ("" if deviation is None else f" ± {deviation:.3f}") + ("" if unit == "score" else f" {unit}")
