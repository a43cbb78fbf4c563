"""The figures of ``index.html``, one file each: what Plotly draws, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Chart = dict[str, Any]
"""``data`` and ``layout`` as Plotly takes them; with ``views``, what a button each makes of the data."""


def chart(traces: Sequence[Mapping[str, Any]], height: int, **layout: Any) -> Chart:
    """A figure ``height`` pixels high, as wide as there is room; axes and margins as all have them."""
    axes = {name: {"automargin": True, **layout.pop(name)} for name in sorted(layout) if name[1:5] == "axis"}
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    common = {"height": height, "hovermode": "closest", "legend": legend, "margin": {"l": 8, "r": 8, "t": 44, "b": 8}}
    return {"data": [dict(trace) for trace in traces], "layout": {**common, **axes, **layout}}


def bounds(low: float, high: float) -> list[float]:
    """What an axis shows that need not begin at 0."""
    room = 0.06 * (high - low) or 1.0
    return [round(low - room, 3), round(high + room, 3)]
