"""The bootstrap over test examples (Efron 1979), for all runs of a task on the same resamples.

Sharing the resamples keeps the pairing: the difference of two runs in a resample is the difference on
the same examples, and the covariance of two runs can be read off their replicates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stages.metrics.base import Answers, Metrics, Weights
from stages.training.randomness import numpy_generator

BLOCK = 64
"""Resamples held in memory at a time."""

LEVEL = 0.95
"""Coverage of every interval in the report."""

Replicates = NDArray[np.float64]
"""One value a run (rows) and resample (columns)."""


def replicates(
    metrics: Metrics, labels: Answers, predictions: Answers, classes: int, resamples: int, purpose: str
) -> dict[str, Replicates]:
    """Each metric of each run (a row of `predictions`) on each resample of the examples.

    `purpose` seeds the draws, so that the same examples are always resampled in the same way.
    """
    resampled = metrics.resampler(labels, predictions, classes)
    blocks = [resampled(weights) for weights in _weights(len(labels), resamples, purpose)]
    return {name: np.concatenate([block[name] for block in blocks], axis=1) for name in metrics.names}


def interval(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The percentile interval over the last axis: lower and upper bounds, in this order."""
    tail = (1 - LEVEL) / 2
    return np.asarray(np.quantile(values, [tail, 1 - tail], axis=-1))


def _weights(examples: int, resamples: int, purpose: str) -> Iterator[Weights]:
    """How often each example (columns) stands in each resample (rows), block by block."""
    for block, start in enumerate(range(0, resamples, BLOCK)):
        size = min(BLOCK, resamples - start)
        drawn = numpy_generator(0, f"bootstrap/{purpose}", block).integers(examples, size=(size, examples))
        cells = drawn + examples * np.arange(size)[:, None]
        yield np.bincount(cells.ravel(), minlength=size * examples).reshape(size, examples).astype(np.float64)
