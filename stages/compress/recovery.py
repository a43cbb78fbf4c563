"""Training what was made smaller, so that it finds its way back, on the task's own examples.

What it is to learn are the labels and, where it is told so, what the model said before it was compressed as well, as a
distribution that a temperature has softened (Hinton et al. 2015, Distilling the Knowledge in a Neural Network, §2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stages.compress.base import Material
from stages.finetune import files as tuned_files
from stages.finetune import parts
from stages.finetune.examples import Batch
from stages.finetune.predict import scores
from stages.finetune.tagged import IGNORED
from stages.model.classifier import Classifier
from stages.params import Section
from stages.training.loop import Plan, train
from stages.training.loss import Loss, Term
from stages.training.optimizer import adamw

TEMPERATURE = 2.0
WARMUP, WEIGHT_DECAY, MAX_GRAD_NORM = 0.1, 0.01, 1.0

Objective = Callable[[Batch], Mapping[str, Tensor]]
"""From a batch to losses that are summed over its examples."""


class Training(Section):
    """How long, and how fast; after a short rise the rate falls to zero in a line."""

    epochs: Annotated[int, Field(ge=1)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    batch_size: Annotated[int, Field(ge=1)] = 32


class Recovery(Training):
    """``distill``: learn from what the uncompressed model says, too."""

    distill: bool = True


class Learning:
    """A model on the task's examples, as the engine sees it; an epoch sees each of them once."""

    def __init__(
        self,
        model: Classifier,
        material: Material,
        batch_size: int,
        objective: Objective,
        beside: nn.Module | None = None,
    ) -> None:
        self.model: nn.Module = nn.ModuleList([model, beside]) if beside is not None else model
        self._judged = model
        self._material, self._batch_size, self._objective = material, batch_size, objective
        self._epoch, self._order = 0, self._shuffled(0)
        self.steps_per_epoch = len(self._order)

    def loss(self, step: int) -> Loss:
        """That of the step's batch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        places, train = self._order[place], self._material.train
        lengths, weight = train.lengths[places], train.weight(places)
        cut = parts.split(places, lengths)
        totals = parts.add_up(self._judged, cut, lambda part: self._objective(train.batch(part)), weight)
        return Loss({name: Term(total, weight) for name, total in totals.items()}, int(lengths.sum()))

    def _shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        return self._material.train.shuffled(self._batch_size, self._material.seed, epoch)

    def evaluate(self) -> dict[str, float]:
        """The task's metrics on the validation examples."""
        validation, family = self._material.validation, self._material.family
        return family.figures(validation.labels, scores(self._judged, family, validation, self._material.dtype))


def recover(model: Classifier, material: Material, settings: Recovery, masks: Mapping[nn.Parameter, Tensor]) -> None:
    """Train all weights but those that a mask holds at zero; the epoch that scores best on validation is kept."""
    teacher = teacher_of(material) if settings.distill else None

    def objective(batch: Batch) -> dict[str, Tensor]:
        outputs = model(batch.input_ids, batch.attention_mask, material.dtype)
        losses = {"labels": material.family.loss(outputs, batch.labels)}
        if teacher is not None:
            losses["teacher"] = soft_loss(
                outputs, told(teacher, batch, material), batch, material.family.task.family, TEMPERATURE
            )
        return losses

    with _held(masks):
        fit(model, material, settings, objective, "recovery")


def fit(
    model: Classifier,
    material: Material,
    settings: Training,
    objective: Objective,
    name: str,
    beside: nn.Module | None = None,
) -> None:
    """Minimise an objective, or go on with that from the checkpoint of this name.

    ``beside``: what is trained with the model and then no longer needed.
    """
    learning = Learning(model, material, settings.batch_size, objective, beside)
    plan = Plan(
        steps=settings.epochs * learning.steps_per_epoch,
        evaluations=settings.epochs,
        warmup=WARMUP,
        decay=1.0,
        max_grad_norm=MAX_GRAD_NORM,
        best_by="score",
    )
    optimizers = adamw(learning.model, learning_rate=settings.learning_rate, weight_decay=WEIGHT_DECAY)
    train(learning, optimizers, plan, material.checkpoint(name), material.observer)
    model.eval()


def teacher_of(material: Material) -> Classifier:
    """The uncompressed model."""
    teacher = tuned_files.load(material.source)
    assert isinstance(teacher, Classifier)
    return teacher


@torch.no_grad()
def told(teacher: Classifier, batch: Batch, material: Material) -> Tensor:
    """What the teacher says of a batch."""
    return teacher(batch.input_ids, batch.attention_mask, material.dtype)


def soft_loss(outputs: Tensor, told: Tensor, batch: Batch, family: str, temperature: float) -> Tensor:
    """Summed over examples: T² · KL(teacher ‖ student), both softened; of `regression` the squared error.

    Outputs are (examples, classes), of words (examples, length, classes), or (examples, length, 2) of the ends of
    answers, where the distributions are over the length.
    """
    if family == "regression":
        return F.mse_loss(outputs, told, reduction="sum")
    if family == "question_answering":
        outputs, told = outputs.transpose(1, 2), told.transpose(1, 2)
    student, teacher = ((logits / temperature).log_softmax(-1) for logits in (outputs, told))
    losses = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1) * temperature**2
    if family == "token_classification":
        words = batch.labels != IGNORED
        return ((losses * words).sum(1) / words.sum(1).clamp_min(1)).sum()
    return losses.mean(1).sum() if family == "question_answering" else losses.sum()


@contextmanager
def _held(masks: Mapping[nn.Parameter, Tensor]) -> Iterator[None]:
    """Leave at zero what a mask has set to zero: without a gradient nothing moves it."""
    handles = [parameter.register_hook(partial(torch.mul, mask)) for parameter, mask in masks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
