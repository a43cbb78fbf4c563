"""The learning rate's shape."""

from __future__ import annotations

import pytest

from stages.training.schedule import cosine, trapezoid


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.3, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)],
)
def test_trapezoid(progress: float, expected: float) -> None:
    """Up over a tenth, level, down over the last half."""
    assert trapezoid(progress, warmup=0.1, decay=0.5) == pytest.approx(expected)


def test_without_ramps_it_is_constant() -> None:
    """No warm-up, no decay."""
    assert {trapezoid(progress / 10, 0.0, 0.0) for progress in range(11)} == {1.0}


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.3, 1.0), (0.5, 1.0), (0.625, 0.8535534), (0.75, 0.5), (1.0, 0.0)],
)
def test_cosine(progress: float, expected: float) -> None:
    """Up over a tenth, level, down half a wave over the last half."""
    assert cosine(progress, warmup=0.1, decay=0.5) == pytest.approx(expected)
