"""Which phenomena of minimal pairs a pre-trained model tells right."""

from __future__ import annotations

from statistics import mean

from stages.report.charts import Chart, chart
from stages.report.figures.style import colors
from stages.report.formats import spread
from stages.report.inputs import Inputs
from stages.report.results import ZERO_SHOT, Results, scored


def zero_shot(inputs: Inputs, results: Results, source: str) -> Chart:
    """A trace an objective and way to score, a row a phenomenon; guessing gives 50."""
    found = [item for item in inputs.zero_shot if item.source == source]
    phenomena = sorted({name for item in found for each in item.modes.values() for name in each.phenomena})
    color = colors(inputs.params.pretrain.objectives)
    traces = []
    for objective in inputs.params.pretrain.objectives:
        modes = dict.fromkeys(mode for item in found if item.objective == objective for mode in item.modes)
        for mode in modes:
            cells = {
                name: [100 * row.value for row in results.cell(objective, f"{source}/{name}", ZERO_SHOT, scored(mode))]
                for name in phenomena
            }
            cells = {name: values for name, values in cells.items() if values}
            traces.append({
                "type": "scatter",
                "mode": "markers",
                "name": f"{objective}, {mode}",
                "x": [round(mean(values), 4) for values in cells.values()],
                "y": [name.replace("_", " ") for name in cells],
                "customdata": [spread(values, 1) for values in cells.values()],
                "marker": {"color": color[objective], "size": 8,
                           "symbol": "circle" if mode == "causal" else "diamond-open"},
                "hovertemplate": f"{objective}, {mode}<br>%{{y}}: %{{customdata}} %<extra></extra>",
            })  # fmt: skip
    guess = {"type": "line", "x0": 50, "x1": 50, "y0": 0, "y1": 1, "yref": "paper", "line": {"dash": "dot", "width": 1}}
    return chart(
        traces,
        160 + 30 * len(phenomena),
        xaxis={"title": {"text": "pairs told right, %"}},
        yaxis={"categoryorder": "array", "categoryarray": [name.replace("_", " ") for name in reversed(phenomena)]},
        shapes=[guess],
        legend={"orientation": "h", "yanchor": "top", "y": -0.15, "x": 0},
    )
