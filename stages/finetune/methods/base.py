"""What a fine-tuning method is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages import params
from stages.finetune.examples import Examples
from stages.finetune.tasks.base import Family
from stages.model.answerer import Answerer
from stages.model.backbone import Backbone
from stages.model.classifier_config import ClassifierConfig
from stages.model.tunable import Tunable
from stages.params import Pooling
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer


@dataclass(frozen=True)
class Job:
    """What every method is given: data, what is asked of it, and how to compute.

    Attributes:
        pretrained: the folder of the model that is to be fitted.
    """

    pretrained: Path
    train: Examples
    validation: Examples
    family: Family
    max_length: int
    seed: int
    dtype: torch.dtype
    checkpoint: Checkpoint
    observer: Observer
    pooling: Pooling = "mean"

    def reading(self, transformer: Backbone) -> ClassifierConfig:
        """What a head on all depths reads, and answers."""
        task = self.family.task
        return ClassifierConfig(
            task.labels,
            tuple(transformer.depths),
            self.max_length,
            self.pooling,
            family=task.family,
            silent=task.silent,
            search=self.family.search,
        )


@dataclass(frozen=True)
class Tuned:
    """A model that answers, what fitted it, and how it was learnt.

    Attributes:
        trainable_parameters: how many of its parameters were trained.
        curve: figures on validation on the way.
        trained: names of the tensors that are not those of the pre-trained model; None writes all of them.
    """

    model: Answerer
    trainable_parameters: int
    curve: list[dict[str, float]]
    trained: frozenset[str] | None = None


class Method(ABC):
    """One way to fit a pre-trained model to a task; ``Options`` are the keys under ``methods.<name>``."""

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def virtual_tokens(self) -> int:
        """How many positions of a text the method takes for itself."""
        return 0

    @abstractmethod
    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        """Fit to ``job.train``, choose on ``job.validation``; the test split is never seen here.

        Raises:
            Inapplicable: what was pre-trained cannot do what the method asks of it.
        """

    def attach(self, model: Tunable, seed: int) -> None:  # noqa: B027 - most methods add nothing
        """Add to a model what the method trains beside the model's own weights, drawn from ``seed``.

        Raises:
            StageError: the model's architecture has no place for it.
        """

    def merge(self, model: Tunable) -> bool:
        """Fold what was attached into the model's own weights; False where no weights can say the same."""
        return True
