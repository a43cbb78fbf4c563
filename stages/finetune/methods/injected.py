"""What the methods share whose layers PEFT has (Mangrulkar et al. 2022): injected into the linear maps of a backbone.

PEFT computes what it adds in the type of its own parameters, fp32, and gives the sum in that of the map.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from stages.finetune.methods.gradient import Gradient, only
from stages.model.backbone import Backbone
from stages.model.tunable import Tunable
from stages.training import randomness

if TYPE_CHECKING:
    from peft import PeftConfig


class Injected(Gradient):
    """Trains what PEFT injects, and the head."""

    @abstractmethod
    def config(self, backbone: Backbone) -> PeftConfig:
        """What PEFT is to inject, and where."""

    def attach(self, model: Tunable, seed: int) -> None:
        from peft import inject_adapter_in_model

        assert isinstance(model.transformer, nn.Module)
        with randomness.drawing(seed, "finetune-attach"):
            inject_adapter_in_model(self.config(model.transformer), model.transformer)

    def prepare(self, model: Tunable) -> None:
        only(model, [name for name, parameter in model.named_parameters() if parameter.requires_grad])

    def merge(self, model: Tunable) -> bool:
        from peft.tuners.tuners_utils import BaseTunerLayer

        wrapped = {name: module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
        for name, module in wrapped.items():
            module.merge()
            model.set_submodule(name, module.get_base_layer())
        return True


def targets(backbone: Backbone, names: Sequence[str]) -> dict[str, Any]:
    """Maps as PEFT wants them named; GPT-2's hold their matrices as (inputs, outputs), which it wants to be told."""
    from transformers.pytorch_utils import Conv1D

    assert isinstance(backbone, nn.Module)
    is_transposed = any(isinstance(backbone.get_submodule(name), Conv1D) for name in names)
    return {"target_modules": list(names), "fan_in_fan_out": is_transposed}
