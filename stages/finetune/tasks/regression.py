"""Scores of single texts and pairs, as STS-B's: squared error, ridge regression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from stages.finetune.tasks.base import Family, Head
from stages.metrics.base import Answers

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
"""scikit-learn's alpha."""


class Regression(Family):
    """A single output, the score."""

    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.mse_loss(outputs.squeeze(-1), labels.to(outputs.dtype), reduction="sum")

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs

    def predictions(self, scores: NDArray[Any]) -> Answers:
        return scores[:, 0].astype(np.float64)

    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        from sklearn.linear_model import Ridge

        for penalty in PENALTIES:
            fitted = Ridge(alpha=penalty).fit(features.astype(np.float64), labels)
            yield Head(fitted.coef_[None], np.atleast_1d(fitted.intercept_))
