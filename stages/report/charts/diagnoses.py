"""Figures of what is inside the selected models: reliability, noise, attributions, attention."""

from __future__ import annotations

from typing import Any

from stages.diagnose.schema import Attribution, Diagnosis
from stages.report.charts import Chart, chart
from stages.report.figures.style import PALETTE

FOR, AGAINST = "#0072b2", "#d55e00"


def reliability(diagnoses: list[Diagnosis]) -> Chart:
    """The share of right answers against confidence; on the line, a model is right as often as it says."""
    perfect = {"type": "line", "x0": 0, "x1": 100, "y0": 0, "y1": 100, "line": {"dash": "dot", "width": 1}}
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": item.task,
            "x": [round(100 * each.confidence, 3) for each in item.calibration.bins],
            "y": [round(100 * each.accuracy, 3) for each in item.calibration.bins],
            "marker": {"size": [min(24, 5 + each.examples**0.5) for each in item.calibration.bins]},
            "line": {"color": PALETTE[place % len(PALETTE)]},
            "customdata": [each.examples for each in item.calibration.bins],
            "hovertemplate": f"{item.task}: %{{customdata}} examples<br>sure to %{{x:.1f}} %, right in %{{y:.1f}} %"
            "<extra></extra>",
        }
        for place, item in enumerate(diagnoses)
        if item.calibration
    ]
    axis = {"range": [0, 102]}
    return chart(
        traces,
        440,
        xaxis={"title": {"text": "confidence, %"}, **axis},
        yaxis={"title": {"text": "right answers, %"}, **axis},
        shapes=[perfect],
    )


def noise(found: Diagnosis) -> Chart:
    """What accuracy loses to every noise, with its interval."""
    losses = [100 * each.drop for each in found.disturbed]
    above, below = (
        [100 * abs(getattr(each, name) - each.drop) for each in found.disturbed] for name in ("upper", "lower")
    )
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": losses,
        "y": [each.noise for each in found.disturbed],
        "error_x": {"type": "data", "array": above, "arrayminus": below, "thickness": 1.5, "color": PALETTE[0]},
        "marker": {"size": 9, "color": PALETTE[0]},
        "hovertemplate": "%{y}: %{x:.1f} points<extra></extra>",
    }
    return chart(
        [trace],
        120 + 30 * len(losses),
        xaxis={"title": {"text": f"{found.task}: points of accuracy lost"}},
        yaxis={"autorange": "reversed"},
        showlegend=False,
    )


def attribution(found: Attribution) -> Chart:
    """A bar a token: what it adds to the logit of the answer."""
    labels = [f"{place + 1} {token}" for place, token in enumerate(found.tokens)]
    return chart(
        [
            {
                "type": "bar",
                "x": labels,
                "y": found.scores,
                "marker": {"color": [FOR if score >= 0 else AGAINST for score in found.scores]},
                "hovertemplate": "%{x}: %{y:.3f}<extra></extra>",
            }
        ],
        320,
        xaxis={"tickangle": -60, "tickfont": {"size": 10}, "tickvals": labels, "ticktext": found.tokens},
        yaxis={"title": {"text": f"adds to “{found.prediction}”"}},
        showlegend=False,
    )


def attention(found: Attribution) -> Chart:
    """Who looks at whom, a layer at a click."""
    places = list(range(len(found.tokens)))
    axis = {"tickvals": places, "ticktext": found.tokens, "tickfont": {"size": 9}}
    heat: dict[str, Any] = {
        "type": "heatmap",
        "z": found.attention[-1],
        "x": places,
        "y": places,
        "colorscale": [[0, "rgba(0,114,178,0)"], [1, "rgba(0,114,178,1)"]],
        "showscale": False,
        "customdata": [[[query, key] for key in found.tokens] for query in found.tokens],
        "hovertemplate": "%{customdata[0]} looks at %{customdata[1]}: %{z:.3f}<extra></extra>",
    }
    layers = [{"label": f"layer {number + 1}", "z": [weights]} for number, weights in enumerate(found.attention)]
    drawn = chart(
        [heat],
        max(420, 60 + 14 * len(places)),
        xaxis={**axis, "tickangle": -60},
        yaxis={**axis, "autorange": "reversed"},
    )
    return drawn | {"views": layers[::-1]}
