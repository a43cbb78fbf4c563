"""Accuracies against scikit-learn and pairs counted by hand, intervals against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score

from stages.zero_shot.accuracy import accuracies, mean, proportion
from stages.zero_shot.pairs import Pair
from stages.zero_shot.schema import Accuracy

SIZES = {"island": 300, "wh": 40, "anaphor": 120}
SHARES = {"island": 0.9, "wh": 0.3, "anaphor": 0.6}
PHENOMENA = {"island": "movement", "wh": "movement", "anaphor": "agreement"}


def pairs(sizes: dict[str, int], phenomena: dict[str, str]) -> list[Pair]:
    return [Pair("good", "bad", name, phenomena.get(name)) for name, size in sizes.items() for _ in range(size)]


def answers(seed: int) -> NDArray[np.bool_]:
    """Which of these pairs a model gets right."""
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.random(size) < SHARES[name] for name, size in SIZES.items()])


def within(found: Accuracy) -> tuple[float, float]:
    return found.lower, found.upper


def test_accuracies_are_those_of_scikit_learn() -> None:
    """Per paradigm; overall and per phenomenon they are averaged, whatever the paradigms' sizes."""
    right, names = answers(0), np.repeat(list(SIZES), list(SIZES.values()))
    found = accuracies(pairs(SIZES, PHENOMENA), right.astype(float), np.full(len(right), 0.5))
    expected = {name: accuracy_score(np.ones(size), right[names == name]) for name, size in SIZES.items()}
    assert {name: each.accuracy for name, each in found.paradigms.items()} == pytest.approx(expected)
    assert {name: each.pairs for name, each in found.paradigms.items()} == SIZES
    assert found.overall.accuracy == pytest.approx(np.mean(list(expected.values())))
    assert found.over_pairs.accuracy == pytest.approx(accuracy_score(np.ones(len(right)), right))
    assert found.overall.pairs == found.over_pairs.pairs == len(right)
    moved = found.phenomena["movement"]
    assert (moved.accuracy, moved.pairs) == (pytest.approx((expected["island"] + expected["wh"]) / 2), 340)
    assert found.phenomena["agreement"].model_dump() == pytest.approx(found.paradigms["anaphor"].model_dump())


def test_a_tie_counts_half() -> None:
    """By hand: one right, one wrong, two ties; and log-probabilities are negative."""
    found = accuracies(pairs({"a": 4}, {}), np.array([-1.0, -9.0, -5.0, -5.0]), np.array([-2.0, -3.0, -5.0, -5.0]))
    assert found.overall.accuracy == 0.5
    assert found.phenomena == {}


@pytest.mark.parametrize(("right", "size"), [(0, 7), (7, 7), (1, 12), (613, 1000), (500, 1000)])
def test_a_paradigms_interval_is_wilsons(right: int, size: int) -> None:
    expected = stats.binomtest(right, size).proportion_ci(0.95, "wilson")
    found = proportion(np.arange(size) < right)
    assert within(found) == pytest.approx((expected.low, expected.high))
    assert 0 <= found.lower <= found.accuracy <= found.upper <= 1
    assert mean([found]).model_dump() == pytest.approx(found.model_dump())


def test_the_interval_of_a_mean_is_near_the_bootstraps() -> None:
    """Of paradigms resampled each by itself, weighted alike or by size."""
    parts = [np.arange(size) < SHARES[name] * size for name, size in SIZES.items()]
    for weights in (None, list(SIZES.values())):
        expected = stats.bootstrap(
            parts,
            lambda *samples, axis, weights=weights: np.average([s.mean(axis) for s in samples], 0, weights),
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        found = mean([proportion(part.astype(float)) for part in parts], weights)
        assert within(found) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    truth = {
        "overall": np.mean(list(SHARES.values())),
        "over_pairs": np.average(list(SHARES.values()), weights=list(SIZES.values())),
    }
    listed, covered = pairs(SIZES, PHENOMENA), dict.fromkeys(truth, 0)
    for seed in range(600):
        found = accuracies(listed, answers(seed).astype(float), np.full(len(listed), 0.5))
        for name, share in truth.items():
            lower, upper = within(getattr(found, name))
            covered[name] += lower <= share <= upper
    assert all(0.92 < count / 600 < 0.98 for count in covered.values())
