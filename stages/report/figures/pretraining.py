"""Validation loss over pre-training: a panel for each objective, for their losses share no scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import ceil
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from stages.report.figures import style
from stages.report.formats import number
from stages.report.inputs import Inputs

COLUMNS = 3
Line = list[list[tuple[float, float]]]
"""Of one run, phase by phase: what was spent, and the loss then."""


def pretraining(inputs: Inputs) -> Figure:
    """Against floating-point operations."""
    lines: dict[str, list[Line]] = {
        name: [
            line((point.phase, point.flops, point.loss) for point in inputs.curves[name, seed])
            for seed in inputs.params.seeds
            if (name, seed) in inputs.curves
        ]
        for name in inputs.params.pretrain.objectives
    }
    return losses(lines, "floating-point operations")


def line(points: Iterable[tuple[int, float, float]]) -> Line:
    """From points (phase, spent, loss) in order: each phase has a loss of its own, and so a line of its own."""
    return [[point[1:] for point in phase] for _, phase in groupby(points, key=lambda point: point[0])]


def losses(lines: Mapping[str, Sequence[Line]], spent: str) -> Figure:
    """Of each objective one thin line a seed and phase, labelled with their mean at the end, over what was ``spent``.

    An objective with fewer than two evaluations was not trained and has no panel.
    """
    drawn = [name for name in lines if any(len(phase) > 1 for line in lines[name] for phase in line)]
    columns = max(1, min(COLUMNS, len(drawn)))
    rows = max(1, ceil(len(drawn) / columns))
    figure = Figure(figsize=(0.6 + 3.6 * columns, 0.3 + 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, objective in zip(panels, drawn, strict=False):
        _panel(axes, lines[objective], style.colors(list(lines))[objective])
        axes.set_title(objective)
        axes.set_xlabel(spent)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    if not drawn:
        figure.text(0.5, 0.5, "no objective was trained", ha="center", va="center", color=style.FAINT)
    return figure


def _panel(axes: Axes, lines: Sequence[Line], color: str) -> None:
    for phase in (phase for line in lines for phase in line):
        axes.plot(*zip(*phase, strict=True), color=color, linewidth=1.1)
        axes.plot(*phase[-1], "o", markersize=3, color=color)
    ends = [line[-1][-1] for line in lines]
    axes.annotate(
        number(mean(loss for _, loss in ends), 2), (ends[0][0], max(loss for _, loss in ends)), (0, 5),
        textcoords="offset points", ha="right", va="bottom", color=color, weight="bold",
    )  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylabel("validation loss, nats")
