"""What the ways to prune share: at once, or in rounds between which the model recovers.

In rounds the share that is gone rises as Zhu & Gupta 2017, To Prune, or Not to Prune, equation 1 has it: fast while
much is redundant, slower towards the end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from stages import params
from stages.compress.base import Compressor, Material, Shape
from stages.compress.recovery import Recovery, recover
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier

Sparsity = Annotated[float, Field(ge=0, lt=1)]
Masks = Mapping[nn.Parameter, Tensor]
"""Of a matrix which weights are left, 1, and which are to stay zero, 0."""


class Pruning(Compressor):
    """Takes away what matters least."""

    class Options(params.Section):
        """``rounds``: in how many steps, with a recovery behind each; without ``recovery`` nothing is trained."""

        rounds: Annotated[int, Field(ge=1)] = 1
        recovery: Recovery | None = None

        @model_validator(mode="after")
        def _something_is_between_rounds(self) -> Self:
            if self.rounds > 1 and self.recovery is None:
                raise ValueError("rounds: without `recovery` there is nothing between them")
            return self

    @property
    def trains(self) -> bool:
        return self.options.recovery is not None

    def compress(self, model: Answerer, material: Material) -> Shape:
        found = classifier(self, model)
        start = self.begin(found)
        for number in range(1, self.options.rounds + 1):
            masks = self.prune(found, start, rising(self.share, number, self.options.rounds), material)
            if self.options.recovery is not None:
                recover(found, material.part(f"round-{number}"), self.options.recovery, masks)
        return self.described(found)

    @property
    @abstractmethod
    def share(self) -> float:
        """What is gone in the end."""

    @abstractmethod
    def begin(self, model: Classifier) -> Any:
        """What is to be known of the model as it was before the first round.

        Raises:
            StageError: its architecture has no place for this.
        """

    @abstractmethod
    def prune(self, model: Classifier, start: Any, share: float, material: Material) -> Masks:
        """Take away until this share of all that was there is gone; what is to stay zero."""

    def described(self, model: Classifier) -> Shape:
        """What the model has become."""
        return {}


def rising(share: float, number: int, rounds: int) -> float:
    """The share that is gone after a round, of which the last one is ``rounds``: a cubic curve from 0."""
    return share * (1 - (1 - number / rounds) ** 3)


def classifier(compressor: Compressor, model: Answerer) -> Classifier:
    """The model, if it is one that this can be done to.

    Raises:
        Inapplicable: it is not.
    """
    if not isinstance(model, Classifier):
        raise compressor.unfit(f"{type(model).__name__} models, which use the vocabulary's output, keep their weights")
    return model
