"""Weights in int8, activations quantized on the fly (Zafrir et al. 2019, Q8BERT, §3, without training).

Symmetric, one scale per output row, so that a row's largest weight is ±127 steps. Linear layers compute in integers;
embedding tables are kept in int8 and the rows that a text needs are scaled back when they are read.

Inputs have 7 bits, as in PyTorch's own dynamic layers: a processor without instructions for int8 (VNNI) adds two
products up in 16 bits, which 8 bits of both overflow, and silently so. Integers are exact, so all processors agree.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import torch
from torch import Tensor, nn

from stages.compress import modules
from stages.compress.base import Compressor, Material, Shape
from stages.model.answerer import Answerer
from stages.model.transformer import Linear

STEPS = 127
"""Of a row's largest weight, and from the least to the greatest input."""

QUANTIZED = (nn.Linear, Linear, nn.Embedding)
"""Of just these types: what else has a matrix may do more with it than multiply or look up."""

HEAD = "classifier"
"""Stays in fp32: rounding it moves the scores of all texts one way, where inputs are wide by more than parts them."""


def quantized(model: nn.Module) -> list[nn.Module]:
    """All modules whose matrix is rounded."""
    return [module for name, module in model.named_modules() if type(module) in QUANTIZED and name != HEAD]


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) fp32 -> the same in int8, and the fp32 step of each row (rows,)."""
    scale = weight.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / STEPS
    return (weight / scale[:, None]).round().clamp(-STEPS, STEPS).to(torch.int8), scale


class Int8Linear(nn.Module):
    """int8 weights, activations quantized per call; fp32 in and out."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self.weight: Tensor
        self.scale: Tensor
        self._packed: Any = None

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """The same map, its weights rounded."""
        bias = None if linear.bias is None else linear.bias.detach()
        return cls(*quantize(linear.weight.detach()), bias)

    def _load_from_state_dict(self, *given: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*given)

    def _pack(self) -> Any:
        """The weights as the kernel wants them."""
        torch.backends.quantized.engine = "onednn"  # measured: the fastest on x86 at every length
        zeros = torch.zeros(len(self.scale), dtype=torch.long)
        with warnings.catch_warnings():  # these tensors are only the way into the kernel's own packing
            warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
            affine = torch._make_per_channel_quantized_tensor(self.weight, self.scale.double(), zeros, 0)
        return torch.ops.quantized.linear_prepack(affine, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if self._packed is None:
            self._packed = self._pack()
        return torch.ops.quantized.linear_dynamic(input.float(), self._packed, reduce_range=True)


class Int8Embedding(nn.Module):
    """int8 rows with a step each; what is looked up comes out in fp32."""

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("scale", scale)
        self.rows: Tensor
        self.scale: Tensor

    @classmethod
    def of(cls, table: nn.Embedding) -> Self:
        """The same table, its rows rounded."""
        return cls(*quantize(table.weight.detach()))

    @property
    def weight(self) -> Tensor:
        """The whole table in fp32, which DeBERTa reads of its relative positions."""
        return self.rows.float() * self.scale[:, None]

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.rows[input_ids].float() * self.scale[input_ids][..., None]


class Int8Dynamic(Compressor):
    """All linear layers but the head, and embedding tables; norms and biases stay."""

    quantizes = True

    def compress(self, model: Answerer, material: Material) -> Shape:
        self.shape(model, {})
        return {}

    def shape(self, model: Answerer, shape: Shape) -> None:
        for module in quantized(model):
            assert isinstance(module, nn.Embedding | nn.Linear)
            small = Int8Embedding.of(module) if isinstance(module, nn.Embedding) else Int8Linear.of(module)
            modules.replace(model, module, small)
