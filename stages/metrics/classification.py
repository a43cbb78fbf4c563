"""Metrics of classes: accuracy, F1 and Matthews' correlation, by scikit-learn; the bootstrap counts per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.metrics.base import Answers, Metrics, Weights


@dataclass(frozen=True)
class Counts:
    """Per class (last axis): examples that have it, that were given it, and both at once."""

    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]
    hits: NDArray[np.float64]


class Classification(Metrics):
    """Accuracy; F1 of class 1 of two, as GLUE has it, or else the mean over all classes (macro); Matthews' φ.

    A class that is neither present nor predicted counts as 0 in F1. Where all labels or all predictions are of one
    class, φ is 0.
    """

    names = ("accuracy", "f1", "matthews")

    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

        averaged = [1] if classes == 2 else list(range(classes))
        return {
            "accuracy": float(accuracy_score(labels, predictions)),
            "f1": float(f1_score(labels, predictions, labels=averaged, average="macro", zero_division=0)),
            "matthews": float(matthews_corrcoef(labels, predictions)) if len(np.unique(labels)) > 1 else 0.0,
        }

    def replicates(
        self, labels: Answers, predictions: Answers, classes: int, weights: Weights
    ) -> dict[str, NDArray[np.float64]]:
        counts = count(labels, predictions, classes, weights)
        return {"accuracy": _accuracy(counts), "f1": _f1(counts), "matthews": _matthews(counts)}

    def paired(self, labels: Answers, first: Answers, second: Answers) -> float | None:
        return mcnemar(labels, first, second)


def count(labels: Answers, predictions: Answers, classes: int, weights: Weights) -> Counts:
    """Counts of shape run × resample × class.

    The products are sums of whole numbers and so exact: no order of summation, and hence no number
    of threads, can change them.
    """
    every_run = (1, *predictions.shape[:1])
    actual, predicted, hits = [], [], []
    for index in range(classes):
        has, given = labels == index, predictions == index
        actual.append(np.tile((weights @ has)[:, None], every_run))
        predicted.append(weights @ given.T)
        hits.append(weights @ (given & has).T)
    return Counts(*(np.stack(counts, axis=-1).swapaxes(0, 1) for counts in (actual, predicted, hits)))


def _accuracy(counts: Counts) -> NDArray[np.float64]:
    return np.asarray(counts.hits.sum(axis=-1) / counts.actual.sum(axis=-1))


def _f1(counts: Counts) -> NDArray[np.float64]:
    size = counts.predicted + counts.actual
    per_class = np.divide(2 * counts.hits, size, out=np.zeros_like(counts.hits), where=size > 0)
    return np.asarray(per_class[..., 1] if per_class.shape[-1] == 2 else per_class.mean(axis=-1))


def _matthews(counts: Counts) -> NDArray[np.float64]:
    """Of any number of classes (Gorodkin 2004, Comparing two K-category assignments, equation 8)."""
    examples, hits = counts.actual.sum(axis=-1), counts.hits.sum(axis=-1)
    covariance = hits * examples - (counts.actual * counts.predicted).sum(axis=-1)
    spread = [examples**2 - (one**2).sum(axis=-1) for one in (counts.actual, counts.predicted)]
    scale = np.sqrt(spread[0] * spread[1])
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def mcnemar(labels: Answers, first: Answers, second: Answers) -> float:
    """The exact test that two models err equally often on the same examples (McNemar 1947).

    It is the paired permutation test of accuracy: where just one model is right, either may be it.
    """
    from scipy import special

    first_right, second_right = first == labels, second == labels
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    tail = special.bdtr(min(only_first, only_second), only_first + only_second, 0.5)
    return min(1.0, 2 * float(tail))
