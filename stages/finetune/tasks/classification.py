"""Classification of single texts and pairs: cross-entropy, softmax, logistic regression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from stages.finetune.tasks.base import Family, Head
from stages.metrics.base import Answers

INVERSE_PENALTIES = (0.0003, 0.003, 0.03, 0.3)
"""scikit-learn's C."""

NEVER = -1e4
"""The bias of a class that training examples lack."""


class Classification(Family):
    """An output a class."""

    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, labels, reduction="sum", label_smoothing=smoothing)

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(-1)

    def predictions(self, scores: NDArray[Any]) -> Answers:
        return scores.argmax(-1)

    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        from sklearn.linear_model import LogisticRegression

        for penalty in INVERSE_PENALTIES:
            fitted = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
            yield self._spread(_as_logits(fitted.coef_, fitted.intercept_), fitted.classes_)

    def _spread(self, head: Head, seen: NDArray[np.int64]) -> Head:
        """Rows for all classes; one that the training examples lack is never predicted."""
        weight, bias = np.zeros((self.outputs, head.weight.shape[1])), np.full(self.outputs, NEVER)
        weight[seen], bias[seen] = head
        return Head(weight, bias)


def _as_logits(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> Head:
    """One row per class; of two classes scikit-learn gives only the log-odds of the second."""
    if len(weight) > 1:
        return Head(weight, bias)
    return Head(np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2)
