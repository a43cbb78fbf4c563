"""What a fine-tuning method is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch

from stages import params
from stages.finetune.examples import Examples
from stages.finetune.tasks.base import Family
from stages.model.backbone import Backbone
from stages.model.classifier import Classifier
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer


@dataclass(frozen=True)
class Job:
    """What every method is given: data, what is asked of it, and how to compute."""

    train: Examples
    validation: Examples
    family: Family
    max_length: int
    seed: int
    dtype: torch.dtype
    checkpoint: Checkpoint
    observer: Observer


@dataclass(frozen=True)
class Tuned:
    """A classifier, how many of its parameters were trained, and its learning curve."""

    model: Classifier
    trainable_parameters: int
    curve: list[dict[str, float]]


class Method(ABC):
    """One way to fit a pre-trained model to a task; ``Options`` are the keys under ``methods.<name>``."""

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        """Fit to ``job.train``, choose on ``job.validation``; the test split is never seen here."""
