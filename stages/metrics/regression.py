"""Metrics of scores: Pearson's and Spearman's correlation, by SciPy; the bootstrap ranks each resample anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.metrics.base import Answers, Metrics, Weights


class Regression(Metrics):
    """Both correlations of STS-B; 0 where all labels or all predictions are alike, which has no correlation."""

    names = ("pearson", "spearman")

    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        from scipy.stats import pearsonr, spearmanr

        if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
            return dict.fromkeys(self.names, 0.0)
        labels, predictions = labels.astype(np.float64), predictions.astype(np.float64)
        return {
            "pearson": float(pearsonr(labels, predictions).statistic),
            "spearman": float(spearmanr(labels, predictions).statistic),
        }

    def replicates(
        self, labels: Answers, predictions: Answers, classes: int, weights: Weights
    ) -> dict[str, NDArray[np.float64]]:
        from scipy.stats import rankdata

        chosen = np.stack([np.repeat(np.arange(len(labels)), row.astype(np.int64)) for row in weights])
        expected, given = labels[chosen].astype(np.float64), predictions.astype(np.float64)
        ranked = rankdata(expected, axis=1)
        return {
            "pearson": np.stack([_correlation(expected, run[chosen]) for run in given]),
            "spearman": np.stack([_correlation(ranked, rankdata(run[chosen], axis=1)) for run in given]),
        }

    def paired(self, labels: Answers, first: Answers, second: Answers) -> float | None:
        return None


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's, row by row."""
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.zeros(len(x)), where=scale > 0)
