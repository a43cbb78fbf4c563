"""Weights in int8, activations quantized on the fly (Zafrir et al. 2019, Q8BERT, §3, without training).

Symmetric, one scale per output row, so that a row's largest weight is ±127 steps. Linear layers compute in int8;
embedding tables are kept in int8 and the rows that a text needs are scaled back when they are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stages.compress.methods.base import Compressor
from stages.model.answerer import Answerer
from stages.model.transformer import Linear

STEPS = 127
SCALE = ".scale"
QUANTIZED = (nn.Linear, Linear, nn.Embedding)
"""Of just these types: what else has a matrix may do more with it than multiply or look up."""


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
        zeros = torch.zeros(len(scale), dtype=torch.long)
        with warnings.catch_warnings():  # these tensors are only the way into the kernel's own packing
            warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
            affine = torch._make_per_channel_quantized_tensor(weight, scale.double(), zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(affine, bias)

    def forward(self, input: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(input.float(), self._packed, reduce_range=False)


class Int8Embedding(nn.Module):
    """int8 rows with a step each; what is looked up comes out in fp32."""

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("scale", scale)
        self.rows: Tensor
        self.scale: Tensor

    @property
    def weight(self) -> Tensor:
        """The whole table in fp32, which DeBERTa reads of its relative positions."""
        return self.rows.float() * self.scale[:, None]

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.rows[input_ids].float() * self.scale[input_ids][..., None]


class Int8Dynamic(Compressor):
    """All linear layers and embedding tables; norms and biases stay."""

    def tensors(self, model: Answerer) -> dict[str, Tensor]:
        matrices = {f"{name}.weight" for name, module in model.named_modules() if type(module) in QUANTIZED}
        compressed: dict[str, Tensor] = {}
        for name, tensor in model.state_dict().items():
            if name in matrices:
                compressed[name], compressed[name + SCALE] = quantize(tensor)
            else:
                compressed[name] = tensor
        return compressed

    def restore(self, model: Answerer, tensors: Mapping[str, Tensor]) -> Answerer:
        torch.backends.quantized.engine = "onednn"  # measured: the fastest on x86 at every length
        for name, module in list(model.named_modules()):
            weight, scale = tensors.get(f"{name}.weight"), tensors.get(f"{name}.weight{SCALE}")
            if weight is None or scale is None:
                continue
            if isinstance(module, nn.Embedding):
                model.set_submodule(name, Int8Embedding(weight, scale))
            else:
                model.set_submodule(name, Int8Linear(weight, scale, tensors.get(f"{name}.bias")))
        replaced = {key for key in tensors if not key.endswith(SCALE) and key + SCALE in tensors}
        biases = {key.replace(".weight", ".bias") for key in replaced}
        kept = {key: tensors[key] for key in tensors if key not in replaced | biases and not key.endswith(SCALE)}
        model.load_state_dict(kept, strict=False)
        return model.eval()
