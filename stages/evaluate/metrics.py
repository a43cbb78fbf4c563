"""Metrics of classification, each in two forms that must agree.

The value comes from scikit-learn. The bootstrap needs the same metric thousands of times, and there it
is computed from counts per class, for all resamples of all runs at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Per class (last axis): examples that have it, that were given it, and both at once."""

    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]
    hits: NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """`value` of labels, predictions and the number of classes; `of_counts` of the same as counts."""

    value: Callable[[Labels, Labels, int], float]
    of_counts: Callable[[Counts], NDArray[np.float64]]


def _accuracy(labels: Labels, predictions: Labels, classes: int) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _accuracy_of_counts(counts: Counts) -> NDArray[np.float64]:
    return np.asarray(counts.hits.sum(axis=-1) / counts.actual.sum(axis=-1))


def _f1(labels: Labels, predictions: Labels, classes: int) -> float:
    """F1 of class 1 for two classes, as GLUE has it; with more, the mean of all classes (macro).

    A class that is neither present nor predicted counts as 0.
    """
    from sklearn.metrics import f1_score

    averaged = [1] if classes == 2 else list(range(classes))
    return float(f1_score(labels, predictions, labels=averaged, average="macro", zero_division=0))


def _f1_of_counts(counts: Counts) -> NDArray[np.float64]:
    size = counts.predicted + counts.actual
    per_class = np.divide(2 * counts.hits, size, out=np.zeros_like(counts.hits), where=size > 0)
    return np.asarray(per_class[..., 1] if per_class.shape[-1] == 2 else per_class.mean(axis=-1))


METRICS = {
    "accuracy": Metric(_accuracy, _accuracy_of_counts),
    "f1": Metric(_f1, _f1_of_counts),
}

COMPARED = "accuracy"
"""The metric by which models are ranked and compared: one, so that the family of tests stays small."""
