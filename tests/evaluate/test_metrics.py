"""The metrics computed from counts are scikit-learn's, on every resample."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from stages.evaluate import bootstrap
from stages.evaluate.metrics import METRICS


def reference(name: str, labels: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    if name == "accuracy":
        return float(accuracy_score(labels, predictions))
    if classes == 2:
        return float(f1_score(labels, predictions, average="binary", zero_division=0))
    return float(f1_score(labels, predictions, average="macro", labels=range(classes), zero_division=0))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("examples", [5, 60])
def test_every_replicate_is_what_scikit_learn_says(name: str, classes: int, examples: int) -> None:
    generator = np.random.default_rng(classes)
    labels = generator.integers(classes, size=examples)
    predictions = generator.integers(classes, size=(3, examples))
    found = bootstrap.replicates(labels, predictions, classes, 25, "test")[name]
    weights = np.concatenate(list(bootstrap._weights(examples, 25, "test"))).astype(int)
    for resample, weight in enumerate(weights):
        chosen = np.repeat(np.arange(examples), weight)
        for run, predicted in enumerate(predictions):
            expected = reference(name, labels[chosen], predicted[chosen], classes)
            assert found[run, resample] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("classes", [2, 4])
def test_values_are_scikit_learns(name: str, classes: int) -> None:
    generator = np.random.default_rng(0)
    labels, predictions = generator.integers(classes, size=(2, 50))
    found = METRICS[name].value(labels, predictions, classes)
    assert found == pytest.approx(reference(name, labels, predictions, classes))


def test_f1_of_a_model_that_never_says_yes_is_zero() -> None:
    labels, never = np.array([0, 1, 1]), np.zeros(3, dtype=np.int64)
    assert METRICS["f1"].value(labels, never, 2) == 0
    assert (bootstrap.replicates(labels, never[None], 2, 50, "test")["f1"] == 0).all()
