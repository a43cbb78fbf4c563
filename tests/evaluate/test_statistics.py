"""The tests behind every claim: known answers, independent references, and their false-positive rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stages.evaluate import bootstrap, comparisons, statistics
from stages.evaluate.comparisons import Group, Yardstick
from stages.evaluate.schema import Comparison
from stages.evaluate.statistics import Variance, scatter
from stages.metrics.classification import Classification

METRICS = Classification()


def test_holm_is_what_r_says() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), method = "holm")"""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_without_uncertain_examples_it_is_the_paired_t_test() -> None:
    scores = np.array([[0.81, 0.79, 0.84], [0.75, 0.78, 0.77]])
    found = statistics.difference(scores, np.repeat(scores[..., None], 100, axis=2), 0, 1, scatter([scores]))
    expected = stats.ttest_rel(scores[0], scores[1])
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    bounds = expected.confidence_interval()
    assert (found.lower, found.upper) == pytest.approx((bounds.low, bounds.high))


def test_without_scatter_over_seeds_it_is_the_paired_z_test_over_examples() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=800)
    first = np.where(generator.random(800) < 0.8, labels, 1 - labels)
    second = np.where(generator.random(800) < 0.7, labels, 1 - labels)
    replicates = bootstrap.replicates(METRICS, labels, np.stack([first, first, second, second]), 2, 2000, "test")
    gains = (first == labels).astype(float) - (second == labels)
    scores = np.repeat([[(first == labels).mean()], [(second == labels).mean()]], 2, axis=1)
    found = statistics.difference(scores, replicates["accuracy"].reshape(2, 2, -1), 0, 1, scatter([scores]))
    half = 1.96 * gains.std(ddof=1) / 800**0.5
    assert found.difference == pytest.approx(gains.mean())
    assert found.upper - found.difference == pytest.approx(half, rel=0.06)


@pytest.mark.parametrize("parts", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.7)])
@pytest.mark.parametrize("estimate", [0.1, 1.9, 4.0, 20.0])
def test_p_value_and_interval_agree(parts: tuple[float, float], estimate: float) -> None:
    variance = Variance(*parts, freedom=2)
    p = statistics.p_value(estimate, variance)
    assert (p < 0.05) == (statistics.critical_value(0.05, variance) < estimate)
    if p > statistics.SMALLEST:
        assert statistics.critical_value(p, variance) == pytest.approx(estimate, rel=1e-6)


@pytest.mark.parametrize("parts", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_what_is_called_detectable_is_found_four_times_in_five(parts: tuple[float, float]) -> None:
    """Simulated: seeds scatter, examples vary, and models truly differ by just that much."""
    generator, seeds, tries = np.random.default_rng(3), 3, 400
    of_seeds, of_examples = (part**0.5 for part in parts)
    shift, found = None, 0
    for _ in range(tries):
        noise = of_seeds * generator.normal(size=(6, seeds)) / 2**0.5
        examples = of_examples * generator.normal(size=(6, 1)) / 2**0.5
        resampled = of_examples * generator.normal(size=(6, 1, 400)) / 2**0.5
        variance = Variance(parts[0] / seeds, parts[1], 5 * (seeds - 1))
        shift = statistics.critical_value(0.05, variance) + statistics.critical_value(0.4, variance)
        scores = noise + examples + np.array([shift * variance.total**0.5, 0, 0, 0, 0, 0])[:, None]
        estimate = statistics.difference(scores, scores[..., None] + resampled, 0, 1, scatter([scores]))
        found += estimate.lower > 0
        assert estimate.detectable is not None
    assert 0.7 < found / tries < 0.9


def test_a_single_seed_tells_nothing_of_what_could_be_found() -> None:
    replicates = np.random.default_rng(0).normal(size=(2, 1, 100))
    assert statistics.difference(np.array([[0.8], [0.7]]), replicates, 0, 1, scatter([])).detectable is None


def test_equal_models_are_never_told_apart() -> None:
    scores = np.full((2, 2), 0.7)
    found = statistics.difference(scores, np.full((2, 2, 100), 0.7), 0, 1, scatter([scores]))
    assert (found.difference, found.lower, found.upper, found.p) == (0, 0, 0, 1)


def test_one_seed_gives_an_interval_over_examples_and_no_p_value() -> None:
    replicates = np.random.default_rng(0).normal(size=(2, 1, 1000)) * 0.01 + np.array([0.8, 0.7])[:, None, None]
    found = statistics.difference(np.array([[0.8], [0.7]]), replicates, 0, 1, scatter([]))
    assert found.p is None
    assert found.lower < 0.1 < found.upper


def family(generator: np.random.Generator, seed_scatter: float, gain: float = 0.0) -> list[Comparison]:
    """A made-up task: two methods, three objectives, two seeds, examples of different hardness."""
    labels = np.ones(250, dtype=np.int64)
    level = 0.7 + seed_scatter * generator.normal(size=(2, 3, 2)) + gain * np.array([0, 0, 1])[:, None]
    hardness = 0.25 * generator.normal(size=250)
    right = generator.random((2, 3, 2, 250)) < np.clip(level[..., None] + hardness, 0, 1)
    predictions = right.astype(np.int64)
    replicates = bootstrap.replicates(METRICS, labels, predictions.reshape(12, 250), 2, 150, str(generator.random()))
    accuracy = replicates["accuracy"].reshape(2, 3, 2, -1)
    groups = [
        Group(
            method=str(method),
            objectives=["scratch", "mlm", "clm"],
            seeds=[0, 1],
            scores=predictions[method].mean(axis=-1),
            replicates=accuracy[method],
            predictions=predictions[method],
            flagged=np.zeros((3, 2), dtype=bool),
        )
        for method in range(2)
    ]
    return comparisons.compare(groups, Yardstick("accuracy", METRICS, labels))


@pytest.mark.parametrize("seed_scatter", [0.0, 0.02, 0.06])
def test_where_nothing_differs_hardly_any_report_claims_anything(seed_scatter: float) -> None:
    generator = np.random.default_rng(7)
    tries = 200
    false_claims = sum(any(item.carried for item in family(generator, seed_scatter)) for _ in range(tries))
    assert stats.binomtest(false_claims, tries, 0.05, alternative="greater").pvalue > 0.01


def test_a_large_difference_is_claimed() -> None:
    generator = np.random.default_rng(8)
    found = [item for _ in range(20) for item in family(generator, 0.002, gain=0.28)]
    real = [item for item in found if item.objective == "clm"]
    assert np.mean([item.carried for item in real]) > 0.6
    assert all(item.lower > 0 for item in found if item.carried)
