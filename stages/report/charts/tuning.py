"""What tuning methods reach, against how much of a model they train."""

from __future__ import annotations

from statistics import mean
from typing import Any

from stages.evaluate.schema import Evaluation
from stages.report.charts import Chart, chart
from stages.report.figures.style import colors
from stages.report.formats import spread
from stages.report.inputs import Inputs
from stages.report.results import Results


def tuning(inputs: Inputs, results: Results, evaluation: Evaluation) -> Chart:
    """A trace an objective: means over seeds, methods from the fewest trained parameters to the most."""
    color = colors(inputs.params.pretrain.objectives)
    traces = [_trace(inputs, results, evaluation, name, color[name]) for name in inputs.params.pretrain.objectives]
    return chart(
        [trace for trace in traces if trace["x"]],
        460,
        xaxis={"type": "log", "title": {"text": "trained parameters"}, "exponentformat": "power"},
        yaxis={"title": {"text": f"{evaluation.task}: test {evaluation.metric} × 100"}},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )


def _trace(inputs: Inputs, results: Results, evaluation: Evaluation, objective: str, color: str) -> dict[str, Any]:
    points = []
    for method in inputs.params.finetune.methods:
        trained = [row.value for row in results.cell(objective, evaluation.task, method, "trainable_parameters")]
        found = [100 * row.value for row in results.cell(objective, evaluation.task, method, evaluation.metric)]
        if found and trained and mean(trained) > 0:
            points.append((mean(trained), round(mean(found), 4), method, spread(found, 1)))
    points.sort()
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": objective,
        "x": [point[0] for point in points],
        "y": [point[1] for point in points],
        "line": {"color": color, "width": 1, "dash": "dot"},
        "marker": {"size": 8},
        "customdata": [list(point[2:]) for point in points],
        "hovertemplate": objective + ", %{customdata[0]}<br>%{x:,.0f} trained: %{customdata[1]}<extra></extra>",
    }
