"""Fine-tuning as the engine sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stages.finetune import parts
from stages.finetune.examples import Examples
from stages.finetune.predict import scores
from stages.model.dropout import Dropout
from stages.model.tunable import Tunable
from stages.training import distributed, randomness
from stages.training.loss import Loss, Term

if TYPE_CHECKING:  # methods import this module
    from stages.finetune.methods.base import Job


@dataclass(frozen=True)
class Regime:
    """How a batch is learnt from.

    Attributes:
        batch_size: examples of a step.
        parts: into how many a batch is cut at least, to be computed one after the other in as much less memory.
        label_smoothing: share of the target that all classes get alike (Szegedy et al. 2016, §7).
        dropout: share of what layers write, and of what the head reads, that is left out.
        penalties: what is minimised beside the task's loss.
    """

    batch_size: int
    parts: int = 1
    label_smoothing: float = 0.0
    dropout: float = 0.0
    penalties: Callable[[], Mapping[str, Term]] = dict


class Finetuning:
    """A classifier on a task's examples; an epoch sees each of them once."""

    def __init__(self, model: Tunable, job: Job, regime: Regime) -> None:
        self.model: Tunable = model
        self._job, self._regime = job, regime
        self._epoch, self._order = 0, self._shuffled(0)
        self.steps_per_epoch = len(self._order)

    def loss(self, step: int) -> Loss:
        """That of this process's share of a batch."""
        whole = self._places(step)
        places, counts = distributed.share(whole), not distributed.is_spare(whole)
        weight = distributed.average(counts * self._job.train.weight(places))
        generator = randomness.torch_generator(self._job.seed, "finetune-dropout", distributed.position(step))
        dropout = Dropout(self._regime.dropout, generator)
        lengths = self._job.train.lengths
        pieces = np.array_split(places, min(self._regime.parts, len(places)))
        totals = parts.add_up(
            self.model,
            [part for piece in pieces for part in parts.split(piece, lengths[piece])],
            lambda part: {"loss": counts * self._total(part, dropout)},
            weight,
        )
        terms = {"loss": Term(totals["loss"], weight), **self._regime.penalties()}
        return Loss(terms, int(lengths[whole].sum()))

    def _places(self, step: int) -> NDArray[np.int64]:
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self._order[place]

    def _shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        return self._job.train.shuffled(self._regime.batch_size, self._job.seed, epoch)

    def _total(self, places: NDArray[np.int64], dropout: Dropout) -> Tensor:
        """The summed loss of these examples."""
        batch = self._job.train.batch(places)
        smoothing = self._regime.label_smoothing
        return self._job.family.total(self.model, batch, self._job.dtype, dropout, smoothing)

    def evaluate(self) -> dict[str, float]:
        """The task's metrics on the validation examples."""
        examples: Examples = self._job.validation
        return self._job.family.figures(
            examples.labels, scores(self.model, self._job.family, examples, self._job.dtype)
        )
