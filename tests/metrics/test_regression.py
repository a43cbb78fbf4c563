"""The metrics of scores are SciPy's, for all examples and on every resample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from stages.metrics.regression import Regression

METRICS = Regression()
REFERENCE = {"pearson": pearsonr, "spearman": spearmanr}


@pytest.mark.parametrize("name", METRICS.names)
def test_values_and_replicates_are_scipys(name: str) -> None:
    """With ties among labels, and resamples that repeat examples."""
    generator = np.random.default_rng(0)
    labels = np.round(generator.uniform(0, 5, 40) * 2) / 2
    predictions = labels + generator.normal(size=(3, 40))
    weights = generator.multinomial(40, np.full(40, 1 / 40), size=25)
    found = METRICS.replicates(labels, predictions, 0, weights.astype(np.float64))[name]
    for run, predicted in enumerate(predictions):
        assert METRICS.values(labels, predicted, 0)[name] == pytest.approx(REFERENCE[name](labels, predicted)[0])
        for resample, weight in enumerate(weights):
            chosen = np.repeat(np.arange(40), weight)
            expected = REFERENCE[name](labels[chosen], predicted[chosen])[0]
            assert found[run, resample] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", METRICS.names)
def test_one_answer_to_all_correlates_with_nothing(name: str) -> None:
    labels, same = np.array([0.0, 1.0, 2.0]), np.full(3, 2.5)
    assert METRICS.values(labels, same, 0)[name] == 0
    assert METRICS.values(same, labels, 0)[name] == 0
    assert (METRICS.replicates(labels, same[None], 0, np.ones((4, 3)))[name] == 0).all()
