"""The score of every objective: a panel for each task (columns) and tuning method (rows)."""

from __future__ import annotations

from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluate.comparisons import BASELINE
from stages.evaluate.schema import Row
from stages.report.figures import style
from stages.report.formats import CORRELATIONS, percent
from stages.report.inputs import Inputs
from stages.report.results import Results

SEED_GAP = 0.16
"""Vertical distance between the seeds of an objective; rows of objectives are 1 apart."""


def scores(inputs: Inputs, results: Results) -> Figure:
    """Means as bars with their value, seeds as dots with their intervals over examples."""
    params = inputs.params
    methods, evaluations, objectives = params.finetune.methods, inputs.evaluations, params.pretrain.objectives
    figure = Figure(
        figsize=(1.4 + 3.6 * len(evaluations), 1.0 + len(methods) * (0.55 + 0.42 * len(objectives))),
        layout="constrained",
    )
    grid = figure.subplots(len(methods), len(evaluations), squeeze=False, sharex="col", sharey="row")
    for row, method in enumerate(methods):
        for axes, evaluation in zip(grid[row], evaluations, strict=True):
            found = {name: results.cell(name, evaluation.task, method, evaluation.metric) for name in objectives}
            cells = {name: rows for name, rows in found.items() if rows}
            _panel(axes, cells, style.colors(objectives))
            axes.set_title(f"{evaluation.task} · {method}")
    for axes, evaluation in zip(grid[-1], evaluations, strict=True):
        axes.set_xlabel(f"test {evaluation.metric}, " + ("× 100" if evaluation.metric in CORRELATIONS else "%"))
    figure.supxlabel(
        "bar: mean over seeds   ·   dot and line: one seed, 95 % interval over test examples",
        fontsize=8,
        color=style.FAINT,
    )
    return figure


def _panel(axes: Axes, cells: dict[str, list[Row]], colors: dict[str, str]) -> None:
    style.bare(axes)
    for place, (objective, rows) in enumerate(cells.items()):
        _objective(axes, place, rows, colors[objective])
    if BASELINE in cells:
        baseline = 100 * mean(row.value for row in cells[BASELINE])
        axes.axvline(baseline, color=colors[BASELINE], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_yticks(range(len(cells)), list(cells), color=style.INK)
    axes.set_ylim(len(cells) - 0.45, -0.6)


def _objective(axes: Axes, place: int, rows: list[Row], color: str) -> None:
    for index, row in enumerate(rows):
        height = place + SEED_GAP * (index - (len(rows) - 1) / 2)
        if row.lower is not None and row.upper is not None:
            axes.hlines(height, 100 * row.lower, 100 * row.upper, color=color, linewidth=1.2, alpha=0.55)
        axes.plot(100 * row.value, height, "o", markersize=3.6, color=color)
    center = mean(row.value for row in rows)
    axes.vlines(100 * center, place - 0.3, place + 0.3, color=color, linewidth=2.6)
    right = max(100 * (row.value if row.upper is None else row.upper) for row in rows)
    axes.annotate(
        percent(center),
        (right, place),
        (6, 0),
        textcoords="offset points",
        va="center",
        color=color,
        weight="bold",
    )
    axes.margins(x=0.16)
