"""The score of every objective on one task, tuning methods beside each other."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from stages.evaluate.schema import Evaluation, Row
from stages.report.charts import Chart, bounds, chart
from stages.report.figures.style import PALETTE
from stages.report.formats import spread
from stages.report.inputs import Inputs
from stages.report.results import Results


def scores(inputs: Inputs, results: Results, evaluation: Evaluation) -> Chart:
    """A trace a method: means over seeds with their standard deviation; the legend hides and shows methods."""
    methods, objectives = inputs.params.finetune.methods, inputs.params.pretrain.objectives
    traces = []
    for place, method in enumerate(methods):
        cells = {name: results.cell(name, evaluation.task, method, evaluation.metric) for name in objectives}
        traces.append(_trace(method, {name: rows for name, rows in cells.items() if rows}, place))
    return chart(
        traces,
        120 + (18 + 7 * len(methods)) * len(objectives),
        xaxis={"title": {"text": f"{evaluation.task}: test {evaluation.metric} × 100"}, "range": _range(traces)},
        yaxis={"categoryorder": "array", "categoryarray": objectives[::-1]},
        scattermode="group",
    )


def _range(traces: list[dict[str, Any]]) -> list[float]:
    places = [pair for trace in traces for pair in zip(trace["x"], trace["error_x"]["array"], strict=True)]
    return bounds(min(x - error for x, error in places), max(x + error for x, error in places))


def _trace(method: str, cells: dict[str, list[Row]], place: int) -> dict[str, Any]:
    values = {name: [100 * row.value for row in rows] for name, rows in cells.items()}
    color = PALETTE[place % len(PALETTE)]
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "name": method,
        "x": [round(mean(found), 4) for found in values.values()],
        "y": list(values),
        "error_x": {
            "type": "data",
            "array": [round(stdev(found), 4) if len(found) > 1 else 0 for found in values.values()],
            "color": color,
            "thickness": 1.5,
        },
        "marker": {"color": color, "size": 9},
        "customdata": [[spread(found, 1), ", ".join(f"{value:.1f}" for value in found)] for found in values.values()],
        "hovertemplate": "%{y}, " + method + "<br>%{customdata[0]}<br>seeds: %{customdata[1]}<extra></extra>",
    }
