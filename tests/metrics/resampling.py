"""Resamples of answers, as the tests of several families draw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.metrics.additive import Additive
from stages.metrics.base import Answers

Reference = Callable[[Answers, Answers], dict[str, float]]
"""Each metric of predictions, given labels and them."""


def answers(texts: list[str]) -> NDArray[np.object_]:
    """As predictions are read."""
    return np.array(texts, dtype=object)


def check(metrics: Additive, labels: Answers, predictions: Answers, reference: Reference) -> None:
    """Of predictions (runs, examples), values and what is found on 25 resamples are those of the reference."""
    generator, examples = np.random.default_rng(0), len(labels)
    weights = generator.multinomial(examples, np.full(examples, 1 / examples), size=25)
    found = metrics.replicates(labels, predictions, 0, weights.astype(np.float64))
    assert tuple(found) == metrics.names
    assert {replicates.shape for replicates in found.values()} == {(len(predictions), 25)}
    for run, predicted in enumerate(predictions):
        values = metrics.values(labels, predicted, 0)
        assert tuple(values) == metrics.names
        assert values == pytest.approx(reference(labels, predicted), abs=1e-12)
        for resample, weight in enumerate(weights):
            chosen = np.repeat(np.arange(examples), weight)
            expected = reference(labels[chosen], predicted[chosen])
            assert {name: found[name][run, resample] for name in found} == pytest.approx(expected, abs=2e-9)
