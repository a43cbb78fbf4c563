"""Validation loss over pre-training, all objectives in one figure, against what was spent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from stages.report.charts import Chart, chart
from stages.report.figures.style import colors
from stages.report.inputs import Inputs, Point

SPENT = {"flops": "floating-point operations", "tokens": "tokens"}


def pretraining(inputs: Inputs) -> Chart:
    """A line a seed and phase, against operations or, at a click, tokens; the legend hides and shows objectives."""
    objectives = inputs.params.pretrain.objectives
    color = colors(objectives)
    runs = [(name, seed) for name in objectives for seed in inputs.params.seeds]
    lines = [(name, seed, phase) for name, seed in runs for phase in _phases(inputs.curves.get((name, seed), []))]
    seen: set[str] = set()
    traces = []
    for name, seed, phase in lines:
        traces.append(_trace(name, seed, phase, color[name]) | {"showlegend": name not in seen})
        seen.add(name)
    views = [
        {"label": label, "x": [[getattr(point, unit) for point in phase] for _, _, phase in lines]}
        for unit, label in SPENT.items()
    ]
    drawn = chart(
        traces,
        520,
        xaxis={"title": {"text": SPENT["flops"]}, "rangemode": "tozero", "exponentformat": "power"},
        yaxis={"title": {"text": "validation loss, nats"}},
        legend={"orientation": "h", "yanchor": "top", "y": -0.18, "x": 0},
    )
    return drawn | {"views": views}


def _phases(points: Sequence[Point]) -> list[list[Point]]:
    """What another phase lost cannot be compared: it is a line of its own."""
    found = [list(phase) for _, phase in groupby(points, key=lambda point: point.phase)]
    return [phase for phase in found if len(phase) > 1]


def _trace(objective: str, seed: int, points: Sequence[Point], color: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": objective,
        "legendgroup": objective,
        "x": [point.flops for point in points],
        "y": [round(point.loss, 5) for point in points],
        "line": {"color": color, "width": 1.6},
        "marker": {"size": 4},
        "hovertemplate": f"{objective}, seed {seed}<br>%{{x:.3s}}: %{{y:.3f}} nats<extra></extra>",
    }
