"""What compressors leave of a task's model: its score against its size."""

from __future__ import annotations

from typing import Any

from stages.evaluate.schema import Evaluation
from stages.report.charts import Chart, chart
from stages.report.figures.style import PALETTE
from stages.report.formats import mebibytes

ORIGINAL = "uncompressed"


def compression(evaluation: Evaluation) -> Chart:
    """A trace a compressor, with the interval of its difference; the line joins what no other beats in both."""
    found = evaluation.compressions
    before = {"name": ORIGINAL, "bytes": found[0].bytes_before, "score": found[0].before, "lower": 0.0, "upper": 0.0}
    points = [before] + [
        {"name": item.compressor, "bytes": item.bytes_after, "score": item.after,
         "lower": item.difference - item.lower, "upper": item.upper - item.difference}
        for item in found
    ]  # fmt: skip
    return chart(
        [_front(points), *(_trace(point, place) for place, point in enumerate(points))],
        420,
        xaxis={"type": "log", "title": {"text": "bytes of the weights"}, "exponentformat": "SI"},
        yaxis={"title": {"text": f"{evaluation.task}: test {found[0].metric} × 100"}},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )


def front(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those than which none is both smaller and better, the smallest first."""
    best: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda point: (point["bytes"], -point["score"])):
        if not best or point["score"] > best[-1]["score"]:
            best.append(point)
    return best


def _front(points: list[dict[str, Any]]) -> dict[str, Any]:
    best = front(points)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best at their size",
        "x": [point["bytes"] for point in best],
        "y": [100 * point["score"] for point in best],
        "line": {"dash": "dot", "width": 1, "color": "#6e7781"},
        "hoverinfo": "skip",
    }


def _trace(point: dict[str, Any], place: int) -> dict[str, Any]:
    color = "#6e7781" if point["name"] == ORIGINAL else PALETTE[place % len(PALETTE)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": point["name"],
        "x": [point["bytes"]],
        "y": [100 * point["score"]],
        "error_y": {"type": "data", "array": [100 * point["upper"]], "arrayminus": [100 * point["lower"]],
                    "thickness": 1.2, "color": color},
        "marker": {"size": 10, "color": color},
        "hovertemplate": f"{point['name']}<br>%{{y:.1f}} at {mebibytes(point['bytes'])}<extra></extra>",
    }  # fmt: skip
