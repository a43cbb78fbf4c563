"""What is inside the selected models: how sure they are, and what noise takes from them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.diagnose.schema import Diagnosis
from stages.report.figures import style


def reliability(diagnoses: Sequence[Diagnosis]) -> Figure:
    """The share of right answers against confidence, a line a task; on the dashes a model is as right as it is sure."""
    figure = Figure(figsize=(5.6, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, 100), (0, 100), color=style.FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    for place, item in enumerate(diagnoses):
        if item.calibration:
            color = style.PALETTE[place % len(style.PALETTE)]
            sure, right = (
                [100 * getattr(each, name) for each in item.calibration.bins] for name in ("confidence", "accuracy")
            )
            axes.plot(sure, right, color=color, linewidth=1.1, label=item.task)
            axes.scatter(sure, right, [min(120, 8 + each.examples) for each in item.calibration.bins], color=color)
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("right answers, %")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure


def noise(diagnoses: Sequence[Diagnosis]) -> Figure:
    """What accuracy loses to every noise, with its interval: a panel for each task."""
    disturbed = [item for item in diagnoses if item.disturbed]
    count = max(1, len(disturbed))
    rows = max((len(item.disturbed) for item in disturbed), default=1)
    figure = Figure(figsize=(1.4 + 3.6 * count, 1.2 + 0.32 * rows), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, item in zip(panels, disturbed, strict=False):
        _losses(axes, item)
    if not disturbed:
        panels[0].set_axis_off()
    return figure


def _losses(axes: Axes, item: Diagnosis) -> None:
    style.bare(axes)
    color = style.PALETTE[0]
    for place, each in enumerate(item.disturbed):
        axes.hlines(place, 100 * each.lower, 100 * each.upper, color=color, linewidth=1.2, alpha=0.55)
        axes.plot(100 * each.drop, place, "o", markersize=4.5, color=color)
    axes.axvline(0, color=style.FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_yticks(range(len(item.disturbed)), [each.noise for each in item.disturbed], color=style.INK)
    axes.set_ylim(len(item.disturbed) - 0.45, -0.6)
    axes.set_title(item.task)
    axes.set_xlabel("points of accuracy lost")
