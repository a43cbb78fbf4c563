"""What the pruning of neurons and that of heads share: units go, and the matrices around them become smaller.

In every module the same share of them goes; what is left computes what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from stages.compress import importance, units
from stages.compress.base import Material, Shape
from stages.compress.importance import Importance
from stages.compress.pruning import Masks, Pruning, Sparsity
from stages.compress.units import Block, Layout, Unfit
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier

KEPT = "kept"


class Structured(Pruning):
    """Takes units away whole.

    Attributes:
        layouts: where they stand.
        units: what they are called.
    """

    layouts: ClassVar[Sequence[Layout]]
    units: ClassVar[str]

    class Options(Pruning.Options):
        """``importance``: what decides (`stages.compress.importance`), on how many training ``examples``."""

        sparsity: Sparsity
        importance: Importance = "taylor"
        examples: Annotated[int, Field(ge=1)] = 256

    @property
    def share(self) -> float:
        return float(self.options.sparsity)

    def begin(self, model: Classifier) -> dict[str, int]:
        """How many units there are in each block."""
        return {block.name: block.units for block in self._find(model)}

    def prune(self, model: Classifier, start: dict[str, int], share: float, material: Material) -> Masks:
        blocks = self._find(model)
        left = [remaining(start[block.name], share) for block in blocks]
        if any(count < block.units for count, block in zip(left, blocks, strict=True)):
            values = importance.measure(model, blocks, self.options.importance, material, self.options.examples)
            for block, count, value in zip(blocks, left, values, strict=True):
                block.keep(value.argsort(descending=True, stable=True)[:count].sort().values)
        return {}

    def described(self, model: Classifier) -> Shape:
        return {KEPT: self.begin(model)}

    def shape(self, model: Answerer, shape: Shape) -> None:
        for block in self._find(model):
            block.keep(range(shape[KEPT][block.name]))

    def _find(self, model: nn.Module) -> list[Block]:
        try:
            found = units.find(model, self.layouts)
        except Unfit as reason:
            raise self.unfit(f"{reason}: prune {self.units} before what changed it, or not at all") from None
        if not found:
            kind = type(getattr(getattr(model, "transformer", model), "model", model)).__name__
            raise self.unfit(f"{self.units} of {kind} are not to be told from each other here: leave this step out")
        return found


def remaining(count: int, share: float) -> int:
    """How many units are left of so many without this share; one at least."""
    return max(1, count - round(share * count))
