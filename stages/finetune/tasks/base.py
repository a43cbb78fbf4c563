"""What a family of tasks is to the models that are tuned on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stages import metrics
from stages.metrics.base import Answers
from stages.task import Task


class Head(NamedTuple):
    """A linear head: outputs are ``features @ weight.T + bias``, with weight (outputs, width) and bias (outputs,)."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


class Family(ABC):
    """How one task of the family is learnt, and what a model's outputs for it mean."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an example."""
        return len(self.task.labels) or 1

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Summed over examples, from outputs (examples, outputs) and labels (examples,)."""

    @abstractmethod
    def scores(self, outputs: Tensor) -> Tensor:
        """What the outputs say, (examples, outputs): probabilities of classes, or the score itself."""

    @abstractmethod
    def predictions(self, scores: NDArray[np.float32]) -> Answers:
        """An answer for each example, of the kind of its label."""

    @abstractmethod
    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        """The best linear head on standardised features (examples, width), for each of several penalties."""

    def figures(self, labels: Answers, scores: NDArray[np.float32]) -> dict[str, float]:
        """All metrics of the family, and as ``score`` the one that the task is judged by."""
        found = metrics.of(self.task.family).values(labels, self.predictions(scores), len(self.task.labels))
        return {"score": found[self.task.metric], **found}
