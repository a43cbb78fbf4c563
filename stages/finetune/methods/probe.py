"""A linear head on pooled features: the head of `frozen`, and where that of `full` begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stages.finetune.examples import Examples
from stages.finetune.tasks.base import Family, Head
from stages.metrics.base import Answers
from stages.model.classifier import Classifier

BATCH = 64

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """A fitted head, and its score on validation."""

    score: float
    head: Head

    @torch.no_grad()
    def give(self, model: Classifier) -> None:
        """Make it the model's head."""
        model.classifier.weight.copy_(torch.from_numpy(self.head.weight))
        model.classifier.bias.copy_(torch.from_numpy(self.head.bias))


class Read(NamedTuple):
    """What a head learns from, a row an example or a word.

    Attributes:
        features: states of every depth that the reader reads, (rows, depths, hidden_size).
        labels: (rows,).
    """

    features: Features
    labels: Answers

    def at(self, depths: slice) -> Read:
        """Those depths side by side, (rows, width)."""
        return Read(self.features[:, depths].reshape(len(self.features), -1), self.labels)


def read(reader: Classifier, family: Family, examples: Examples, dtype: torch.dtype) -> Read:
    """All rows of the examples, in their order."""
    shape = (-1, len(reader.config.depths), reader.transformer.hidden_size)
    features, labels, owners = [], [], []
    with torch.no_grad():
        for places, batch in examples.by_length(BATCH):
            rows, answers, of = family.rows(reader.features(batch.input_ids, batch.attention_mask, dtype), batch)
            features.append(rows.reshape(shape).cpu().numpy())
            labels.append(answers.numpy())
            owners.append(places[of.numpy()])
    order = np.argsort(np.concatenate(owners), kind="stable")
    return Read(np.concatenate(features)[order], np.concatenate(labels)[order])


def fit(train: Read, validation: Read, family: Family) -> Probe:
    """The best of several penalties on validation, from features (rows, width)."""
    from threadpoolctl import threadpool_limits

    mean, scale = train.features.mean(0), train.features.std(0) + 1e-6
    with threadpool_limits(1):  # so that sums do not depend on the machine's number of cores
        standardized = family.heads((train.features - mean) / scale, train.labels)
        heads = [Head(head.weight / scale, head.bias - head.weight @ (mean / scale)) for head in standardized]
        return max((Probe(_score(head, validation, family), head) for head in heads), key=lambda probe: probe.score)


def _score(head: Head, validation: Read, family: Family) -> float:
    outputs = torch.from_numpy(validation.features @ head.weight.T + head.bias)
    return family.agreement(validation.labels, outputs)
