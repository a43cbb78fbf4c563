"""A classifier as an ONNX graph, from token ids to logits.

Two things stand in the graph otherwise than in PyTorch, for ONNX Runtime pays for every node at batch 1. Our attention
becomes two of its fused operators, rotary embedding and multi-head attention (measured on the default model: 0.75 of
the time). And padding is taken to be on the right, as all our batches have it, so that nothing is put in order first.
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

from stages.model.classifier import Classifier
from stages.model.transformer import Attention, Stack

if TYPE_CHECKING:
    from onnx import ModelProto

INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
OPSET, FUSED = 20, "com.microsoft"
"""Of ONNX, the first with GELU; and the domain of ONNX Runtime's own operators."""

EXAMPLE = (2, 16)
"""Batch and length that are traced; neither is left in the graph."""


class _FusedAttention(nn.Module):
    """`Attention` in ONNX Runtime's own operators, over texts that are padded on the right."""

    def __init__(self, attention: Attention, causal: bool) -> None:
        super().__init__()
        self.attention, self.causal = attention, causal

    def forward(self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        assert mask is not None
        query, key, value = self.attention.Wqkv(x).chunk(3, dim=-1)
        heads = query.shape[-1] // self.attention.head_dim
        seen = (mask[:, 0, -1] >= 0).int()  # the last query sees all keys that are real
        given = (_rotated(query, position, heads), _rotated(key, position, heads), value, None, seen)
        options = {"num_heads": heads, "unidirectional": int(self.causal)}
        return self.attention.Wo(_operator("MultiHeadAttention", given, options, query))


def _rotated(states: Tensor, position: tuple[Tensor, Tensor], heads: int) -> Tensor:
    """Our tables hold each angle twice, the sine's first half with its sign turned."""
    cos, sin = position
    half = cos.shape[-1] // 2
    places = torch.arange(states.shape[1]).expand(states.shape[:2])
    return _operator("RotaryEmbedding", (states, places, cos[:, :half], sin[:, half:]), {"num_heads": heads}, states)


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

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        depths = self.model.config.depths
        states = self.model.transformer(input_ids, attention_mask, torch.float32, max(depths))
        features = [self.model.finished(self._pooled(states[depth], attention_mask)) for depth in depths]
        return self.model.classifier(torch.cat(features, dim=-1))

    def _pooled(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """As `stages.model.classifier.pool`, in operators that leave the batch free; the mean in one product."""
        pooling = self.model.config.pooling
        if pooling == "none":
            return states
        if pooling == "first":
            return states[:, 0]
        if pooling == "last":
            places = attention_mask.sum(1)[:, None, None] - 1
            return states.gather(1, places.expand(-1, 1, states.shape[-1]))[:, 0]
        weights = attention_mask[:, None].to(states.dtype)
        return (weights @ states)[:, 0] / weights.sum(-1)


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
