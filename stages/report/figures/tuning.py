"""What tuning methods reach, against how much of a model they train: a panel for each task."""

from __future__ import annotations

from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from stages.evaluate.schema import Evaluation
from stages.report.figures import style
from stages.report.formats import CORRELATIONS
from stages.report.inputs import Inputs
from stages.report.results import Results


def tuning(inputs: Inputs, results: Results) -> Figure:
    """A line an objective, from the fewest trained parameters to the most; methods are named along the upper edge."""
    count = max(1, len(inputs.evaluations))
    figure = Figure(figsize=(1.2 + 4.6 * count, 4.2), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, evaluation in zip(panels, inputs.evaluations, strict=False):
        _panel(axes, inputs, results, evaluation)
    if not inputs.evaluations:
        panels[0].set_axis_off()
    else:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, inputs: Inputs, results: Results, evaluation: Evaluation) -> None:
    objectives, places = inputs.params.pretrain.objectives, dict[str, float]()
    for name, color in style.colors(objectives).items():
        points = {
            method: point
            for method in inputs.params.finetune.methods
            if name in objectives and (point := _point(results, evaluation, name, method))
        }
        places |= {method: trained for method, (trained, _) in points.items()}
        axes.plot(*zip(*sorted(points.values()), strict=True) if points else ((), ()), "o:", color=color, label=name,
                  linewidth=0.9, markersize=4.5)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    for method, trained in places.items():
        axes.annotate(method, (trained, 1.01), xycoords=("data", "axes fraction"), rotation=60, fontsize=7,
                      ha="left", va="bottom", color=style.FAINT)  # fmt: skip
    axes.set_xlabel("trained parameters")
    axes.set_ylabel(
        f"{evaluation.task}: test {evaluation.metric}, " + ("× 100" if evaluation.metric in CORRELATIONS else "%")
    )


def _point(results: Results, evaluation: Evaluation, objective: str, method: str) -> tuple[float, float] | None:
    """Trained parameters and the mean score; None of a method that trains nothing, or that does not fit."""
    trained = [row.value for row in results.cell(objective, evaluation.task, method, "trainable_parameters")]
    found = [row.value for row in results.cell(objective, evaluation.task, method, evaluation.metric)]
    return (mean(trained), 100 * mean(found)) if found and trained and mean(trained) > 0 else None
