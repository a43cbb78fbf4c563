"""Which phenomena of minimal pairs a pre-trained model tells right: a panel for each source."""

from __future__ import annotations

from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.report.figures import style
from stages.report.inputs import Inputs
from stages.report.results import ZERO_SHOT, Results, scored

GUESSING = 50
MODES = {"causal": "full", "pseudo": "none"}
"""Ways to score, and how marks are filled."""

SHAPES = "os^v"
"""The next one where colours begin again."""


def zero_shot(inputs: Inputs, results: Results) -> Figure:
    """A row a phenomenon, a mark an objective and way to score, at the mean over seeds."""
    sources = list(dict.fromkeys(item.source for item in inputs.zero_shot if item.modes))
    heights = [2 + 0.32 * len(_phenomena(inputs, source)) for source in sources] or [2.0]
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, source in zip(panels, sources, strict=False):
        _panel(axes, inputs, results, source)
    if not sources:
        panels[0].set_axis_off()
        figure.text(0.5, 0.5, "no model scored sentences", ha="center", va="center", color=style.FAINT)
    return figure


def _phenomena(inputs: Inputs, source: str) -> list[str]:
    found = [item for item in inputs.zero_shot if item.source == source]
    return sorted({name for item in found for each in item.modes.values() for name in each.phenomena})


def _panel(axes: Axes, inputs: Inputs, results: Results, source: str) -> None:
    phenomena, colors = _phenomena(inputs, source), style.colors(inputs.params.pretrain.objectives)
    for number, objective in enumerate(inputs.params.pretrain.objectives):
        shape = SHAPES[number // len(style.PALETTE) % len(SHAPES)]
        for mode, fill in MODES.items():
            cells = [results.cell(objective, f"{source}/{name}", ZERO_SHOT, scored(mode)) for name in phenomena]
            points = [(100 * mean(row.value for row in rows), place) for place, rows in enumerate(cells) if rows]
            if points:
                axes.plot(*zip(*points, strict=True), shape, color=colors[objective], label=f"{objective}, {mode}",
                          markersize=5, fillstyle=fill, alpha=0.85)  # fmt: skip
    style.bare(axes)
    axes.axvline(GUESSING, color=style.FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_yticks(range(len(phenomena)), [name.replace("_", " ") for name in phenomena], color=style.INK)
    axes.set_ylim(len(phenomena) - 0.45, -0.6)
    axes.set_title(source)
    axes.set_xlabel("pairs told right, %; guessing gives 50")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=7.5)
