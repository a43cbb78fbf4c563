"""What compressors leave of a task's model: its score against its size."""

from __future__ import annotations

from typing import Any

from stages.evaluate.schema import Evaluation
from stages.report.charts import Chart, chart
from stages.report.figures.style import PALETTE
from stages.report.formats import mebibytes

ORIGINAL = "uncompressed"


def compression(evaluation: Evaluation) -> Chart:
    """A trace a compressor, with intervals of differences; the line joins what no other beats in both."""
    found = evaluation.compressions
    originals = {item.objective: item for item in found}
    points = [
        {"name": ORIGINAL, "objective": name, "bytes": item.bytes_before, "score": item.before,
         "lower": 0.0, "upper": 0.0}
        for name, item in originals.items()
    ] + [
        {"name": item.compressor, "objective": item.objective, "bytes": item.bytes_after, "score": item.after,
         "lower": item.difference - item.lower, "upper": item.upper - item.difference}
        for item in found
    ]  # fmt: skip
    names = dict.fromkeys(str(point["name"]) for point in points)
    return chart(
        [_front(points), *(_trace(name, points, place) for place, name in enumerate(names))],
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


def _trace(name: str, points: list[dict[str, Any]], place: int) -> dict[str, Any]:
    """Of one compressor, a point for each objective's model."""
    color = "#6e7781" if name == ORIGINAL else PALETTE[place % len(PALETTE)]
    mine = [point for point in points if point["name"] == name]
    upper, lower = ([100 * point[side] for point in mine] for side in ("upper", "lower"))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [point["bytes"] for point in mine],
        "y": [100 * point["score"] for point in mine],
        "error_y": {"type": "data", "array": upper, "arrayminus": lower, "thickness": 1.2, "color": color},
        "marker": {"size": 10, "color": color},
        "text": [f"{point['objective']} · {name}<br>{mebibytes(point['bytes'])}" for point in mine],
        "hovertemplate": "%{text}, %{y:.1f}<extra></extra>",
    }
