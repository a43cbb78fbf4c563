"""What no model is beyond."""

from __future__ import annotations

import random

from stages.speed.pareto import Point, frontier


def test_the_frontier_is_what_nothing_beats() -> None:
    """As comparing every pair has it."""
    draw = random.Random(0)
    points = [
        Point(str(number), "made", float(draw.randrange(1, 30)), draw.randrange(60, 90) / 100) for number in range(40)
    ]

    def beaten(one: Point) -> bool:
        return any(
            other.cost <= one.cost and other.score >= one.score and (other.cost, other.score) != (one.cost, one.score)
            for other in points
        )

    expected = sorted({(point.cost, point.score) for point in points if not beaten(point)})
    assert [(point.cost, point.score) for point in frontier(points)] == expected


def test_a_single_model_is_the_frontier() -> None:
    assert frontier([Point("best", "uncompressed", 3.0, 0.7)]) == [Point("best", "uncompressed", 3.0, 0.7)]
