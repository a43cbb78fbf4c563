"""Where names stand beside their points."""

from __future__ import annotations

import itertools
import random

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from stages.speed import labels
from stages.speed.labels import Label


def _drawn(points: list[tuple[float, float]], named: list[int]) -> tuple[Axes, list[Annotation]]:
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*points, strict=True), "o", markersize=5)
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.15)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    labels.place(axes, [Label(f"model · {number}", *points[number], "black") for number in named], points)
    return axes, [text for text in axes.texts if isinstance(text, Annotation) and text.get_text()]


def _boxes(texts: list[Annotation]) -> list[Bbox]:
    return [text.get_window_extent() for text in texts]


@pytest.mark.parametrize("seed", range(4))
def test_names_of_models_that_are_alike_can_be_read(seed: int) -> None:
    """Six within a thousandth of each other, at the panel's right edge."""
    draw = random.Random(seed)
    alike = [(900 + draw.random(), 80 + draw.random() / 10) for _ in range(6)]
    axes, texts = _drawn([(1.0, 60.0), *alike], list(range(1, 7)))
    boxes, room = _boxes(texts), axes.get_window_extent()
    assert len(boxes) == 6
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1) for box in boxes)
    lines = [one.xyann for one in axes.texts if isinstance(one, Annotation) and one.arrow_patch is not None]
    assert lines == [text.xyann for text in texts if abs(text.xyann[1]) > labels.NEAR]
    assert lines


def test_a_name_that_has_room_stands_at_its_point() -> None:
    """Above it to the right, with no line."""
    axes, texts = _drawn([(1.0, 60.0), (10.0, 70.0), (100.0, 80.0)], [1])
    assert texts[0].xyann == (labels.NEAR, labels.NEAR)
    assert len(axes.texts) == 1


def test_a_name_keeps_off_other_points() -> None:
    axes, texts = _drawn([(1.0, 60.0), (10.0, 70.0), (11.5, 71.0), (100.0, 80.0)], [1])
    (box,) = _boxes(texts)
    assert texts[0].xyann != (labels.NEAR, labels.NEAR)
    assert not box.contains(*axes.transData.transform((11.5, 71.0)))
