"""Graphs of models, traced once each: it takes seconds, and many tests begin with the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import onnx
from safetensors.torch import save

from stages.model.classifier import Classifier

TRACES: dict[str, onnx.ModelProto] = {}


def remembered(trace: Callable[[Classifier], onnx.ModelProto]) -> Callable[[Classifier], onnx.ModelProto]:
    """The same function, which traces a model that it knows no more."""

    def once(model: Classifier) -> onnx.ModelProto:
        if any(module._forward_pre_hooks for module in model.modules()):  # which no key would tell of
            return trace(model)
        weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
        config = getattr(model.transformer, "config", None)
        key = f"{hashlib.sha256(weights).hexdigest()} {model} {model.config} {config}"
        if key not in TRACES:
            TRACES[key] = trace(model)
        return TRACES[key]

    return once
