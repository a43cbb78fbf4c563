"""What lies where in a backbone: its layers, what follows them, and the maps inside a layer.

Of our block this is known; of other architectures it is found by what they have in common: one list of as many layers
as there are depths, attention before feed-forward in each of them, and names that say which is which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn

from stages.errors import StageError
from stages.model.backbone import Backbone
from stages.model.imported import Imported
from stages.model.transformer import Seq2Seq, Transformer

FINAL_NORMS = ("final_norm", "final_layer_norm", "ln_f", "norm")
"""What the norm behind the last layer is called, beside the list of layers."""

KEY_VALUE = re.compile(
    r"(k|v|key|value|query_key_value|in_proj|c_attn|Wqkv)|(k|v|kv|qkv|key|value)_(proj|lin)", re.IGNORECASE
)
"""What makes keys and values of states, some of them together with queries."""


@dataclass(frozen=True)
class Parts:
    """Names within the backbone.

    Attributes:
        layers: in their order.
        final: norms behind the last layer; none where a layer ends in its own.
    """

    layers: tuple[str, ...]
    final: tuple[str, ...]


def parts(backbone: Backbone) -> Parts:
    """Find them; where a decoder reads an encoder, the encoder's layers first.

    Raises:
        StageError: there is no list of as many layers as there are states.
    """
    stacks = [_stack(backbone, name, count) for name, count in _stacks(backbone)]
    return Parts(tuple(layer for stack in stacks for layer in stack.layers), stacks[-1].final)


def _stacks(backbone: Backbone) -> list[tuple[str, int]]:
    """Names of the modules to look for layers in, and how many there are in each."""
    count = len(backbone.depths) - (2 if isinstance(backbone, Transformer) else 1)
    if isinstance(backbone, Seq2Seq):
        return [("encoder", len(backbone.encoder.layers)), ("", count)]
    if isinstance(backbone, Imported) and backbone.decodes:
        names = {module: name for name, module in backbone.named_modules()}
        encoder, decoder = backbone.model.get_encoder(), backbone.model.get_decoder()
        return [(names[encoder], backbone.model.config.num_hidden_layers), (names[decoder], count)]
    return [("", count)]


def _stack(backbone: Backbone, within: str, count: int) -> Parts:
    root = _module(backbone)
    for name, module in root.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count and name.startswith(within):
            parent, _, _ = name.rpartition(".")
            prefix = f"{parent}." if parent else ""
            beside = (child for child, _ in root.get_submodule(parent).named_children())
            final = tuple(prefix + child for child in beside if child in FINAL_NORMS)
            return Parts(tuple(f"{name}.{index}" for index in range(count)), final)
    raise StageError(
        f"{_kind(backbone)} has no list of {count} layers, which params.yaml: finetune.methods needs for all but "
        "frozen, full and bitfit: drop the other methods or take a checkpoint of another architecture"
    )


def linear_maps(backbone: Backbone) -> list[str]:
    """Every linear map inside the layers, by name."""
    from transformers.pytorch_utils import Conv1D

    root = _module(backbone)
    return [
        f"{layer}.{name}"
        for layer in parts(backbone).layers
        for name, module in root.get_submodule(layer).named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]


@dataclass(frozen=True)
class Maps:
    """Linear maps of one layer, by name.

    Attributes:
        key_value: what makes keys and values, in one map with the queries where the architecture has it so.
        attention, feedforward: what writes the result of each to the residual stream.
    """

    key_value: tuple[str, ...]
    attention: str
    feedforward: str


def maps(backbone: Backbone) -> list[Maps]:
    """Those of every layer.

    Raises:
        StageError: the names do not say which is which.
    """
    every = linear_maps(backbone)
    found = []
    for layer in parts(backbone).layers:
        inside = [name for name in every if name.startswith(f"{layer}.")]
        attention = [name for name in inside if "att" in name.removeprefix(layer).lower()]
        feedforward = [name for name in inside if name not in attention]
        key_value = tuple(name for name in attention if KEY_VALUE.fullmatch(name.rpartition(".")[2]))
        if not (key_value and feedforward):
            raise StageError(
                f"{_kind(backbone)}: which linear maps are attention and which feed-forward is not to be told from "
                f"their names ({', '.join(inside)}): take another method of params.yaml: finetune.methods, as lora"
            )
        found.append(Maps(key_value, attention[-1], feedforward[-1]))
    return found


def _module(backbone: Backbone) -> nn.Module:
    assert isinstance(backbone, nn.Module)
    return backbone


def _kind(backbone: Backbone) -> str:
    return type(getattr(backbone, "model", backbone)).__name__
