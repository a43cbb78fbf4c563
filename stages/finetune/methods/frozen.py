"""A linear head on frozen features: what pre-training left in them, and nothing that tuning adds.

The features are the mean over tokens at one depth; a logistic regression is fitted at every depth, and the depth
and the strength of its penalty are chosen on validation (probing as in Peters et al. 2019, To Tune or Not to Tune).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job, Method, Tuned
from stages.model.classifier import Classifier, ClassifierConfig, depths_of
from stages.model.transformer import Transformer

INVERSE_PENALTIES = (0.0003, 0.003, 0.03, 0.3)
"""scikit-learn's C, on standardised features."""
BATCH = 64
Features = NDArray[np.float32]


@dataclass(frozen=True)
class _Probe:
    """A fitted head on one depth: logits are ``features @ weight.T + bias``."""

    accuracy: float
    depth: int
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


class Frozen(Method):
    """Only the head is fitted."""

    def fit(self, transformer: Transformer, job: Job) -> Tuned:
        config = ClassifierConfig(job.labels, tuple(depths_of(transformer.config)), job.max_length)
        reader = Classifier(transformer, config).eval()
        train, validation = (features(reader, examples, job.dtype) for examples in (job.train, job.validation))
        probes = [_probe(depth, train, validation, job) for depth in config.depths]
        best = max(probes, key=lambda probe: (probe.accuracy, -probe.depth))
        model = Classifier(transformer, ClassifierConfig(job.labels, (best.depth,), job.max_length))
        with torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(best.weight))
            model.classifier.bias.copy_(torch.from_numpy(best.bias))
        curve = [{"depth": probe.depth, "accuracy": probe.accuracy} for probe in probes]
        return Tuned(model, sum(p.numel() for p in model.classifier.parameters()), curve)


def features(reader: Classifier, examples: Examples, dtype: torch.dtype) -> Features:
    """Pooled states of every depth, (examples, depths, hidden_size)."""
    depths, width = len(reader.config.depths), reader.transformer.config.hidden_size
    pooled = np.empty((len(examples), depths, width), dtype=np.float32)
    with torch.no_grad():
        for places, batch in examples.by_length(BATCH):
            read = reader.features(batch.input_ids, batch.attention_mask, dtype)
            pooled[places] = read.view(len(places), depths, width).cpu().numpy()
    return pooled


def _probe(depth: int, train: Features, validation: Features, job: Job) -> _Probe:
    """The best logistic regression on one depth."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean, scale = train[:, depth].mean(0), train[:, depth].std(0) + 1e-6
    inputs, held_out = (train[:, depth] - mean) / scale, (validation[:, depth] - mean) / scale
    fitted = []
    with threadpool_limits(1):  # so that sums do not depend on the machine's number of cores
        for penalty in INVERSE_PENALTIES:
            head = LogisticRegression(C=penalty, max_iter=1000).fit(inputs, job.train.labels)
            fitted.append((float(head.score(held_out, job.validation.labels)), head))
    accuracy, head = max(fitted, key=lambda pair: pair[0])
    weight, bias = _as_logits(head.coef_ / scale, head.intercept_ - head.coef_ @ (mean / scale))
    return _Probe(accuracy, depth, *_spread(weight, bias, head.classes_, len(job.labels)))


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
