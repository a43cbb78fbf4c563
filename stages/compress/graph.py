"""A classifier as an ONNX graph, from token ids to logits.

Some things stand in the graph otherwise than in PyTorch, for ONNX Runtime pays for every node at batch 1. Our attention
becomes two of its fused operators, rotary embedding and multi-head attention (measured on the default model: 0.75 of
the time). What one map makes for several is made by one map each, so that nothing is copied apart again; what layers
share is computed once; and the states of all depths become features together (0.85, all three). Where no text of a
batch is padded, as none is that is alone, attention reads no mask: its kernel for that never holds all weights (0.94),
and angles stand in their tables once, as it wants them (0.94). Padding is taken to be on the right, as all our batches
have it, so that nothing is put in order first; texts may have as many tokens as the model's are cut to, for angles
are constants (0.93).
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.model.classifier import Classifier
from stages.model.config import ROPE_THETA
from stages.model.transformer import Attention, FeedForward, Linear, Stack

if TYPE_CHECKING:
    from onnx import ModelProto

INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
OPSET, FUSED = 20, "com.microsoft"
"""Of ONNX, the first with GELU; and the domain of ONNX Runtime's own operators."""

EXAMPLE = (2, 16)
"""Batch and length that are traced; neither is left in the graph."""


class _Apart(nn.Module):
    """The parts of what a linear map makes, by a map of its own each where it is of one piece."""

    def __init__(self, whole: nn.Module, count: int) -> None:
        super().__init__()
        self.whole, self.count = whole, count
        self.maps = nn.ModuleList(_maps(whole.weight, count) if type(whole) is Linear else ())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part(x) for part in self.maps) if self.maps else self.whole(x).chunk(self.count, dim=-1)


def _maps(weight: Tensor, count: int) -> Iterator[Linear]:
    for rows in weight.detach().chunk(count):
        part = Linear(rows.shape[1], rows.shape[0])
        part.weight = nn.Parameter(rows.clone(), requires_grad=False)
        yield part


class _Batch:
    """What attention reads of a batch besides its states: which tokens are real, whether any is not, and angles."""

    def __init__(self, attention_mask: Tensor, max_length: int) -> None:
        self.padded = attention_mask.min() == 0
        self.length = attention_mask.shape[1]
        self._mask, self._max_length = attention_mask, max_length
        self._turns: dict[int, tuple[Tensor, Tensor]] = {}

    def real(self, virtual: int) -> Tensor:
        """(batch, length), 1 at real tokens, of which some are virtual, and stand before the text."""
        return F.pad(self._mask, (virtual, 0), value=1) if virtual else self._mask

    def turns(self, virtual: int, head_dim: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine, (places, head_dim / 2), of each angle once, for texts of any length that are not cut."""
        if virtual not in self._turns:
            frequencies = ROPE_THETA ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
            angles = torch.arange(self._max_length + virtual, dtype=torch.float32)[:, None] * frequencies
            self._turns[virtual] = angles.cos(), angles.sin()
        return self._turns[virtual]


class _FusedAttention(nn.Module):
    """`Attention` in ONNX Runtime's own operators, over texts that are padded on the right.

    Where queries see what comes before them alone, they see no padding anyway.
    """

    def __init__(self, attention: Attention, causal: bool) -> None:
        super().__init__()
        self.attention, self.causal = attention, causal
        self.read = _Apart(attention.Wqkv, 3)
        self.batch: _Batch

    def forward(self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        query, key, value = self.read(x)
        heads, head_dim = query.shape[-1] // self.attention.head_dim, self.attention.head_dim
        virtual = int(query.shape[1] - self.batch.length)
        turns = self.batch.turns(virtual, head_dim)
        read = _rotated(query, turns, heads), _rotated(key, turns, heads), value
        if self.causal:
            return self.attention.Wo(_attended(*read, None, heads, True))

        def whole(query: Tensor, key: Tensor, value: Tensor, real: Tensor) -> Tensor:
            return _attended(query, key, value, None, heads, False)

        def padded(query: Tensor, key: Tensor, value: Tensor, real: Tensor) -> Tensor:
            return _attended(query, key, value, real, heads, False)

        return self.attention.Wo(torch.cond(self.batch.padded, padded, whole, (*read, self.batch.real(virtual))))


def _rotated(states: Tensor, turns: tuple[Tensor, Tensor], heads: int) -> Tensor:
    first = torch.zeros(1, dtype=torch.long)
    return _operator("RotaryEmbedding", (states, first, *turns), {"num_heads": heads}, states)


@torch.compiler.allow_in_graph
def _attended(query: Tensor, key: Tensor, value: Tensor, real: Tensor | None, heads: int, causal: bool) -> Tensor:
    """(batch, length, heads x head_dim); without ``real`` all are seen, by a kernel that is faster."""
    seen = () if real is None else (None, real.int())
    options = {"num_heads": heads, "unidirectional": int(causal)}
    return _operator("MultiHeadAttention", (query, key, value, *seen), options, query)


class _ApartFeedForward(nn.Module):
    """`FeedForward`, its values and gates each by a map of their own."""

    def __init__(self, feedforward: FeedForward) -> None:
        super().__init__()
        self.read, self.write = _Apart(feedforward.Wi, 2), feedforward.Wo

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.read(x)
        written: Tensor = self.write(F.gelu(value) * gate)
        return written


def _operator(name: str, inputs: tuple[Tensor | None, ...], options: dict[str, Any], like: Tensor) -> Tensor:
    made: Tensor = torch.onnx.ops.symbolic(
        f"{FUSED}::{name}", inputs, options, dtype=like.dtype, shape=like.shape, version=1
    )
    return made


class _Graph(nn.Module):
    """A classifier without what only training needs."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval()
        for stack in (module for module in self.model.modules() if isinstance(module, Stack)):
            for layer in stack.layers:
                if type(layer.attn) is Attention:
                    layer.attn = _FusedAttention(layer.attn, stack.config.causal)
                if type(layer.mlp) is FeedForward:
                    layer.mlp = _ApartFeedForward(layer.mlp)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        depths = self.model.config.depths
        batch = _Batch(attention_mask, self.model.config.max_length)
        for attention in (module for module in self.model.modules() if isinstance(module, _FusedAttention)):
            attention.batch = batch
        states = self.model.transformer(input_ids, attention_mask, torch.float32, max(depths))
        chosen = [states[depth] for depth in depths]
        if self.model.config.pooling == "none":
            return self.model.classifier(torch.cat([self.model.finished(one) for one in chosen], dim=-1))
        pooled = torch.cat(self._pooled(chosen, attention_mask), dim=1)
        return self.model.classifier(self.model.finished(pooled.flatten(0, 1)).view(-1, len(depths) * pooled.shape[-1]))

    def _pooled(self, states: list[Tensor], attention_mask: Tensor) -> list[Tensor]:
        """As `stages.model.classifier.pool`, (batch, 1, width), in operators that leave the batch free."""
        if self.model.config.pooling == "first":
            return [one[:, :1] for one in states]
        if self.model.config.pooling == "last":
            places = attention_mask.sum(1)[:, None, None] - 1
            return [one.gather(1, places.expand(-1, 1, one.shape[-1])) for one in states]
        real = attention_mask.to(states[0].dtype)
        weights = (real / real.sum(-1, keepdim=True))[:, None]
        return [weights @ one for one in states]


def trace(model: Classifier) -> ModelProto:
    """The graph of a classifier, the same bytes for the same model; batch and length are free."""
    graph = _Graph(model)
    example = tuple(torch.ones(EXAMPLE, dtype=torch.long) for _ in INPUTS)  # one tensor would be taken for one input
    free = {0: "batch", 1: "length"}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamic_shapes=dict.fromkeys(INPUTS, free),
            verbose=False,
        )
    assert program is not None
    return anonymous(program.model_proto)


def anonymous(proto: ModelProto) -> ModelProto:
    """The same without what tells who made it, and where: names of files, stack traces, versions."""
    proto.producer_name = proto.producer_version = proto.doc_string = ""
    graph = proto.graph
    graph.name, graph.doc_string = "classifier", ""
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        if hasattr(part, "doc_string"):
            part.ClearField("doc_string")
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of what it would need for images, and of its own calls."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)
