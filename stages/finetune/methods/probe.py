"""A linear head on pooled features: the head of `frozen`, and where that of `full` begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.finetune.tasks.base import Head
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
    from threadpoolctl import threadpool_limits

    mean, scale = train.mean(0), train.std(0) + 1e-6
    with threadpool_limits(1):  # so that sums do not depend on the machine's number of cores
        standardized = job.family.heads((train - mean) / scale, job.train.labels)
        heads = [Head(head.weight / scale, head.bias - head.weight @ (mean / scale)) for head in standardized]
        return max((Probe(_score(head, validation, job), head) for head in heads), key=lambda probe: probe.score)


def _score(head: Head, features: Features, job: Job) -> float:
    outputs = torch.from_numpy(features @ head.weight.T + head.bias)
    return job.family.figures(job.validation.labels, job.family.scores(outputs).numpy())["score"]
