"""Names beside the points of a panel: none runs over another or out of the panel, and few over a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

NEAR, RINGS, RING, DOT = 5.0, 6, 11.0, 3.0
"""All in points: how far a name's corner is from its point, how many rings further out may be tried and how far apart
they are, and a point's radius."""

SPOTS = [
    (side * (NEAR + ring * RING / 2), height * (NEAR + ring * RING))
    for ring in range(RINGS)
    for height in (1, -1)
    for side in (1, -1)
]
"""Where a name may be, from its point: the nearest first, above before below, to the right before the left."""


class Label(NamedTuple):
    """What stands at a point of the panel's data."""

    text: str
    x: float
    y: float
    color: str


def place(axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]) -> None:
    """Write each where there is most room, nearest first; a line leads to one that is further off.

    The panel must have the size and limits that it will be drawn with. ``points`` are all that it shows.
    """
    dots = [_dot(axes, point) for point in points]
    written: list[Bbox] = []
    for label in labels:
        text = axes.annotate(
            label.text, (label.x, label.y), (0, 0), textcoords="offset points", color=label.color, annotation_clip=False
        )
        spot = min(SPOTS, key=lambda spot: _crowding(axes, _moved(text, spot), written, dots))
        written.append(_moved(text, spot))
        if abs(spot[1]) > NEAR:
            _lead(axes, label, spot)


def _dot(axes: Axes, point: tuple[float, float]) -> Bbox:
    x, y = axes.transData.transform(point)
    pixels, _ = axes.figure.dpi_scale_trans.transform((DOT / 72, 0))
    return Bbox.from_extents(x, y, x, y).padded(pixels)


def _moved(text: Annotation, spot: tuple[float, float]) -> Bbox:
    """What it covers there."""
    text.xyann = spot
    text.set_horizontalalignment("left" if spot[0] > 0 else "right")
    text.set_verticalalignment("bottom" if spot[1] > 0 else "top")
    return text.get_window_extent()


def _crowding(axes: Axes, box: Bbox, written: Sequence[Bbox], dots: Sequence[Bbox]) -> tuple[bool, int, int]:
    """What is least where there is most room: out of the panel is worst, then over a name, then over a point."""
    room = axes.get_window_extent()
    inside = room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1)
    return not inside, box.count_overlaps(written), box.count_overlaps(dots)


def _lead(axes: Axes, label: Label, spot: tuple[float, float]) -> None:
    line = {"arrowstyle": "-", "color": label.color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": DOT}
    axes.annotate("", (label.x, label.y), spot, textcoords="offset points", arrowprops=line)
