"""Validation loss over pre-training: a panel for each objective, for their losses share no scale."""

from __future__ import annotations

from math import ceil
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from stages.report.figures import style
from stages.report.formats import number
from stages.report.inputs import Inputs, Point

COLUMNS = 3


def pretraining(inputs: Inputs) -> Figure:
    """One thin line a seed, labelled with their mean at the end.

    An objective with a single evaluation was not trained and has no panel.
    """
    objectives = inputs.params.pretrain.objectives
    drawn = [name for name in objectives if any(len(curve) > 1 for curve in _curves(inputs, name))]
    columns = max(1, min(COLUMNS, len(drawn)))
    rows = max(1, ceil(len(drawn) / columns))
    figure = Figure(figsize=(0.6 + 3.6 * columns, 0.3 + 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, objective in zip(panels, drawn, strict=False):
        _panel(axes, _curves(inputs, objective), style.colors(objectives)[objective])
        axes.set_title(objective)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    if not drawn:
        figure.text(0.5, 0.5, "no objective was trained", ha="center", va="center", color=style.FAINT)
    return figure


def _curves(inputs: Inputs, objective: str) -> list[list[Point]]:
    return [inputs.curves[objective, seed] for seed in inputs.params.seeds]


def _panel(axes: Axes, curves: list[list[Point]], color: str) -> None:
    for curve in curves:
        axes.plot([point.tokens for point in curve], [point.loss for point in curve], color=color, linewidth=1.1)
        axes.plot(curve[-1].tokens, curve[-1].loss, "o", markersize=3, color=color)
    ends = [curve[-1] for curve in curves]
    axes.annotate(
        number(mean(end.loss for end in ends), 2), (ends[0].tokens, max(end.loss for end in ends)), (0, 5),
        textcoords="offset points", ha="right", va="bottom", color=color, weight="bold",
    )  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("tokens")
    axes.set_ylabel("validation loss, nats per token")
