"""Weights and activations in int8, the range of each map's input measured once on training texts.

Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, §2:
symmetric weights with a step for each output, inputs with one step and one zero point; products are taken in integers.
What lies outside of a range is cut off (Krishnamoorthi 2018, Quantizing Deep Convolutional Networks, §3.1).
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from stages import params
from stages.compress import inputs, modules
from stages.compress.base import Compressor, Material, Shape
from stages.compress.methods.int8_dynamic import HEAD, Int8Embedding, quantize
from stages.compress.pruning import classifier
from stages.compress.units import LINEAR
from stages.model.answerer import Answerer

LEAST, MOST = -128, 127
"""Of an input in int8."""


class Range(NamedTuple):
    """Between what an input of a map lies."""

    low: float
    high: float


def affine(found: Range) -> tuple[float, int]:
    """The step and the zero point that put a range, widened to hold 0, onto all of int8."""
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    step = max((high - low) / (MOST - LEAST), torch.finfo(torch.float32).tiny)
    return step, min(max(round(LEAST - low / step), LEAST), MOST)


class StaticLinear(nn.Module):
    """Integers in the product; fp32 in and out."""

    def __init__(self, linear: nn.Linear, found: Range) -> None:
        super().__init__()
        weight, scale = quantize(linear.weight.detach())
        step, zero = affine(found)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self.register_buffer("step", torch.tensor(step))
        self.register_buffer("zero", torch.tensor(zero, dtype=torch.int32))
        self.weight: Tensor
        self.scale: Tensor
        self.bias: Tensor | None
        self.step: Tensor
        self.zero: Tensor

    def forward(self, input: Tensor) -> Tensor:
        values = (input.float() / self.step).round().add(self.zero).clamp(LEAST, MOST).to(torch.int8)
        products = torch._int_mm(values.reshape(-1, values.shape[-1]), self.weight.T)
        products = products - self.zero * self.weight.sum(1, dtype=torch.int32)
        outputs = products.float() * (self.scale * self.step)
        found = outputs if self.bias is None else outputs + self.bias
        return found.unflatten(0, input.shape[:-1])


class Int8Static(Compressor):
    """All linear maps that texts reach but the head, and tables of embeddings."""

    quantizes = True

    class Options(params.Section):
        """``range``: of a map's inputs on so many training ``examples``, from the least to the greatest, or between
        quantiles that cut off ``1 - percentile`` at either end, the mean over batches.
        """

        range: Literal["min_max", "percentile"] = "min_max"
        percentile: Annotated[float, Field(gt=0.5, lt=1)] = 0.9999
        examples: Annotated[int, Field(ge=1)] = 256

    def compress(self, model: Answerer, material: Material) -> Shape:
        tuned = classifier(self, model)
        maps = {name: module for name, module in tuned.named_modules() if type(module) in LINEAR and name != HEAD}
        ranges = self._ranges(tuned, maps, material)
        self._replace(tuned, ranges)
        return {"maps": sorted(ranges)}

    def shape(self, model: Answerer, shape: Shape) -> None:
        self._replace(model, dict.fromkeys(shape["maps"], Range(0.0, 1.0)))

    def _replace(self, model: nn.Module, ranges: dict[str, Range]) -> None:
        for name, found in ranges.items():
            linear = model.get_submodule(name)
            modules.replace(model, linear, StaticLinear(linear, found))  # type: ignore[arg-type]
        for module in list(model.modules()):
            if type(module) is nn.Embedding:
                modules.replace(model, module, Int8Embedding.of(module))

    def _ranges(self, model: nn.Module, maps: dict[str, nn.Module], material: Material) -> dict[str, Range]:
        """Of those maps that texts reach."""
        seen: dict[str, list[Range]] = {}

        def note(name: str, rows: Tensor) -> None:
            seen.setdefault(name, []).append(self._range(rows))

        inputs.watch(model, maps, material, self.options.examples, note)
        return {name: self._joined(found) for name, found in seen.items()}

    def _range(self, rows: Tensor) -> Range:
        """Of one batch."""
        if self.options.range == "min_max":
            return Range(float(rows.min()), float(rows.max()))
        values = rows.flatten()
        outside = max(1, round((1 - self.options.percentile) * len(values)))
        return Range(float(values.kthvalue(outside).values), float(values.kthvalue(len(values) - outside + 1).values))

    def _joined(self, found: list[Range]) -> Range:
        """Of all batches."""
        lows, highs = zip(*found, strict=True)
        if self.options.range == "min_max":
            return Range(min(lows), max(highs))
        return Range(sum(lows) / len(lows), sum(highs) / len(highs))
