"""What the methods share that keep weights as integers in groups (`stages.compress.groups`); they differ in bits."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from stages import params
from stages.compress import modules
from stages.compress.base import Compressor, Material, Shape
from stages.compress.groups import GroupedEmbedding, GroupedLinear
from stages.compress.methods.int8_dynamic import QUANTIZED
from stages.model.answerer import Answerer


class WeightOnly(Compressor):
    """Linear maps and tables of embeddings.

    Attributes:
        bits: of a weight.
    """

    quantizes = True
    bits: ClassVar[int]

    class Options(params.Section):
        """``group_size``: how many columns share a step."""

        group_size: Annotated[int, Field(ge=2, multiple_of=2)] = 32

    def compress(self, model: Answerer, material: Material) -> Shape:
        self.shape(model, {})
        return {}

    def shape(self, model: Answerer, shape: Shape) -> None:
        for module in list(model.modules()):
            if type(module) in QUANTIZED:
                assert isinstance(module, nn.Embedding | nn.Linear)
                modules.replace(model, module, self._small(module))

    def _small(self, module: nn.Embedding | nn.Linear) -> nn.Module:
        how = (self.bits, self.options.group_size)
        return GroupedLinear(module, *how) if isinstance(module, nn.Linear) else GroupedEmbedding(module.weight, *how)
