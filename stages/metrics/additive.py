"""Metrics of a corpus that are made of sums over its examples, so that a resample's take one matrix product."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stages.metrics.base import Answers, Metrics, Weights

GRAIN = 2.0**-30
"""What statistics that are no counts are rounded to multiples of.

Their sums are then as exact as those of counts: no order of summation, and hence no number of threads, can change them.
"""


class Additive(Metrics):
    """Each example has statistics of its own; the metrics of many examples are a function of the sums of theirs."""

    @abstractmethod
    def statistics(self, labels: Answers, predictions: Answers) -> NDArray[np.float64]:
        """(examples, statistics) of predictions (examples,): counts, or other numbers made `exact`."""

    @abstractmethod
    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Each metric of sums (runs, resamples, statistics): (runs, resamples)."""

    def replicates(
        self, labels: Answers, predictions: Answers, classes: int, weights: Weights
    ) -> dict[str, NDArray[np.float64]]:
        return self.resampler(labels, predictions, classes)(weights)

    def resampler(
        self, labels: Answers, predictions: Answers, classes: int
    ) -> Callable[[Weights], dict[str, NDArray[np.float64]]]:
        gathered = np.stack([self.statistics(labels, run) for run in predictions])
        return lambda weights: self.scores(weights @ gathered)

    def paired(self, labels: Answers, first: Answers, second: Answers) -> float | None:
        return None


def exact(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded to multiples of `GRAIN`."""
    return np.round(values / GRAIN) * GRAIN


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
