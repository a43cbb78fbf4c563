"""Weights as integers in groups of columns, each with a step of its own; what computes with them is fp32.

Symmetric round-to-nearest, the baseline of Frantar et al. 2023, GPTQ, §4. It makes a model smaller on disk and on its
way to memory, not faster: products are taken with the weights scaled back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST = 2.0**-14
"""The least step: a group that is zero has one, too, and none is rounded to zero in fp16."""


class Groups(NamedTuple):
    """A matrix in integers.

    Attributes:
        values: (rows, columns) int8, or of four bits (rows, columns / 2), two in a byte; columns are filled up.
        steps: (rows, groups), fp16.
    """

    values: Tensor
    steps: Tensor


def quantize(weight: Tensor, bits: int, group_size: int) -> Groups:
    """(rows, columns) fp32 -> integers whose products with the steps are within half a step of it."""
    largest = 2 ** (bits - 1) - 1
    grouped = F.pad(weight, (0, -weight.shape[1] % group_size)).unflatten(1, (-1, group_size))
    steps = (grouped.abs().amax(-1) / largest).clamp_min(SMALLEST).half()
    values = (grouped / steps.float()[..., None]).round().clamp(-largest, largest).to(torch.int8).flatten(1)
    return Groups(_packed(values) if bits == 4 else values, steps)


def dequantize(groups: Groups, columns: int) -> Tensor:
    """(…, columns), fp32."""
    values = unpacked(groups.values) if groups.values.dtype == torch.uint8 else groups.values
    grouped = values.unflatten(-1, (groups.steps.shape[-1], -1)).float()
    return (grouped * groups.steps.float()[..., None]).flatten(-2)[..., :columns]


def _packed(values: Tensor) -> Tensor:
    """Two's complements of four bits, the even column in the low half of a byte."""
    halves = values.to(torch.uint8) & 15
    return halves[:, ::2] | (halves[:, 1::2] << 4)


def unpacked(values: Tensor) -> Tensor:
    """Two weights of each byte."""
    halves = torch.stack((values & 15, values >> 4), dim=-1).flatten(-2)
    return ((halves ^ 8).to(torch.int8)) - 8


class _Quantized(nn.Module):
    """A matrix in integers."""

    def __init__(self, weight: Tensor, bits: int, group_size: int) -> None:
        super().__init__()
        groups = quantize(weight.detach(), bits, group_size)
        self.columns = weight.shape[1]
        self.register_buffer("values", groups.values)
        self.register_buffer("steps", groups.steps)
        self.values: Tensor
        self.steps: Tensor

    @property
    def weight(self) -> Tensor:
        """All of it in fp32."""
        return dequantize(Groups(self.values, self.steps), self.columns)


class GroupedLinear(_Quantized):
    """Scaled back once, before the first product."""

    def __init__(self, linear: nn.Linear, bits: int, group_size: int) -> None:
        super().__init__(linear.weight, bits, group_size)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self.bias: Tensor | None
        self._weight: Tensor | None = None

    def _load_from_state_dict(self, *given: Any) -> None:
        self._weight = None
        super()._load_from_state_dict(*given)

    def forward(self, input: Tensor) -> Tensor:
        if self._weight is None:
            self._weight = self.weight
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self._weight.to(input.dtype), bias)


class GroupedEmbedding(_Quantized):
    """Rows are scaled back when they are read."""

    def forward(self, input_ids: Tensor) -> Tensor:
        return dequantize(Groups(self.values[input_ids], self.steps[input_ids]), self.columns)
