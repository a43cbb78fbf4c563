from __future__ import annotations

import numpy as np
from scipy import stats

from stages.evaluate import bootstrap
from stages.metrics.classification import Classification

METRICS = Classification()


def test_intervals_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=500)
    predictions = np.where(generator.random(500) < 0.8, labels, 1 - labels)
    found = bootstrap.interval(bootstrap.replicates(METRICS, labels, predictions[None], 2, 4000, "test")["accuracy"])
    right = (labels == predictions).astype(float)
    expected = stats.bootstrap(
        (right,), np.mean, n_resamples=4000, method="percentile", rng=generator
    ).confidence_interval
    np.testing.assert_allclose(found[:, 0], [expected.low, expected.high], atol=0.004)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    truth = 0.75
    labels = np.ones(400, dtype=np.int64)
    predictions = (generator.random((1000, 400)) < truth).astype(np.int64)
    lower, upper = bootstrap.interval(bootstrap.replicates(METRICS, labels, predictions, 2, 500, "test")["accuracy"])
    covered = int(((lower <= truth) & (upper >= truth)).sum())
    assert 0.92 < covered / 1000 < 0.97


def test_resamples_depend_on_the_purpose_alone() -> None:
    labels, predictions = np.random.default_rng(0).integers(2, size=(2, 90))
    one = bootstrap.replicates(METRICS, labels, predictions[None], 2, 100, "imdb")["accuracy"]
    among_others = bootstrap.replicates(METRICS, labels, np.stack([labels, predictions]), 2, 100, "imdb")["accuracy"]
    np.testing.assert_array_equal(one[0], among_others[1])
    assert (one != bootstrap.replicates(METRICS, labels, predictions[None], 2, 100, "cola")["accuracy"]).any()
    more = bootstrap.replicates(METRICS, labels, predictions[None], 2, 64 * 3, "imdb")["accuracy"]
    np.testing.assert_array_equal(one[0, :64], more[0, :64])
