"""The metrics of classes are scikit-learn's, for all examples and on every resample."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stages.metrics.classification import Classification, mcnemar

METRICS = Classification()


def reference(name: str, labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> float:
    """As the field computes it."""
    if name == "accuracy":
        return float(accuracy_score(labels, predictions))
    if name == "matthews":
        return float(matthews_corrcoef(labels, predictions))
    if classes == 2:
        return float(f1_score(labels, predictions, average="binary", zero_division=0))
    return float(f1_score(labels, predictions, average="macro", labels=range(classes), zero_division=0))


@pytest.mark.filterwarnings("ignore:A single label")
@pytest.mark.parametrize("name", METRICS.names)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("examples", [5, 60])
def test_every_replicate_is_what_scikit_learn_says(name: str, classes: int, examples: int) -> None:
    generator = np.random.default_rng(classes)
    labels = generator.integers(classes, size=examples)
    predictions = generator.integers(classes, size=(3, examples))
    weights = generator.multinomial(examples, np.full(examples, 1 / examples), size=25)
    found = METRICS.replicates(labels, predictions, classes, weights.astype(np.float64))[name]
    assert found.shape == (3, 25)
    for resample, weight in enumerate(weights):
        chosen = np.repeat(np.arange(examples), weight)
        for run, predicted in enumerate(predictions):
            expected = reference(name, labels[chosen], predicted[chosen], classes)
            assert found[run, resample] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS.names)
@pytest.mark.parametrize("classes", [2, 4])
def test_values_are_scikit_learns(name: str, classes: int) -> None:
    generator = np.random.default_rng(0)
    labels, predictions = generator.integers(classes, size=(2, 50))
    found = METRICS.values(labels, predictions, classes)[name]
    assert found == pytest.approx(reference(name, labels, predictions, classes))


@pytest.mark.parametrize("name", ["f1", "matthews"])
def test_a_model_that_never_says_yes_gains_nothing(name: str) -> None:
    labels, never = np.array([0, 1, 1]), np.zeros(3, dtype=np.int64)
    assert METRICS.values(labels, never, 2)[name] == 0
    assert (METRICS.replicates(labels, never[None], 2, np.ones((4, 3)))[name] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_the_permutation_test_of_accuracy(seed: int) -> None:
    """All ways to exchange the two models' answers, one by one."""
    generator = np.random.default_rng(seed)
    labels, first, second = generator.integers(2, size=(3, 9))
    gains = (first == labels).astype(int) - (second == labels).astype(int)
    observed = abs(gains.sum())
    flips = [abs((gains * signs).sum()) >= observed for signs in product((-1, 1), repeat=len(gains))]
    assert mcnemar(labels, first, second) == pytest.approx(np.mean(flips))
