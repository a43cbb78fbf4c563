"""A logistic regression on pooled features: the head of `frozen`, and where that of `full` begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.model.classifier import Classifier

INVERSE_PENALTIES = (0.0003, 0.003, 0.03, 0.3)
"""scikit-learn's C, on standardised features."""

BATCH = 64

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """A fitted head: logits are ``features @ weight.T + bias``.

    Attributes:
        accuracy: on validation.
        weight: (classes, width).
        bias: (classes,).
    """

    accuracy: float
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    @torch.no_grad()
    def give(self, model: Classifier) -> None:
        """Make it the model's head."""
        model.classifier.weight.copy_(torch.from_numpy(self.weight))
        model.classifier.bias.copy_(torch.from_numpy(self.bias))


def features(reader: Classifier, examples: Examples, dtype: torch.dtype) -> Features:
    """Pooled states of every depth that the reader reads, (examples, depths, hidden_size)."""
    depths, width = len(reader.config.depths), reader.transformer.hidden_size
    pooled = np.empty((len(examples), depths, width), dtype=np.float32)
    with torch.no_grad():
        for places, batch in examples.by_length(BATCH):
            read = reader.features(batch.input_ids, batch.attention_mask, dtype)
            pooled[places] = read.view(len(places), depths, width).cpu().numpy()
    return pooled


def fit(train: Features, validation: Features, job: Job) -> Probe:
    """The best of several penalties on validation, from features (examples, width) of the job's examples."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean, scale = train.mean(0), train.std(0) + 1e-6
    inputs, held_out = (train - mean) / scale, (validation - mean) / scale
    fitted = []
    with threadpool_limits(1):  # so that sums do not depend on the machine's number of cores
        for penalty in INVERSE_PENALTIES:
            head = LogisticRegression(C=penalty, max_iter=1000).fit(inputs, job.train.labels)
            fitted.append((float(head.score(held_out, job.validation.labels)), head))
    accuracy, head = max(fitted, key=lambda pair: pair[0])
    weight, bias = _as_logits(head.coef_ / scale, head.intercept_ - head.coef_ @ (mean / scale))
    return Probe(accuracy, *_spread(weight, bias, head.classes_, len(job.labels)))


def _as_logits(
    weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One row per class; of two classes scikit-learn gives only the log-odds of the second."""
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2


def _spread(
    weight: NDArray[np.float64], bias: NDArray[np.float64], seen: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows for all classes; one that the training examples lack is never predicted."""
    rows, offsets = np.zeros((classes, weight.shape[1])), np.full(classes, -1e4)
    rows[seen], offsets[seen] = weight, bias
    return rows, offsets
