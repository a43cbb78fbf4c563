"""Bottlenecks behind frozen maps (Houlsby et al. 2019, §2.1; Pfeiffer et al. 2021, AdapterFusion, §3.2).

Houlsby has two in a layer, behind what attention and what feed-forward write, before either is added; Pfeiffer has the
second alone. PEFT has neither.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.finetune.methods.gradient import Gradient, only
from stages.model.parts import maps
from stages.model.tunable import Tunable
from stages.training import randomness

STD = 0.01
"""Of a bottleneck's weights at the start, cut off at two of it: nearly nothing comes of them (Houlsby et al., §3.6)."""


class Adapter(Gradient):
    """Trains bottlenecks, and the head."""

    class Options(Gradient.Options):
        """``bottleneck``: units of each."""

        placement: Literal["houlsby", "pfeiffer"]
        bottleneck: Annotated[int, Field(ge=1)]

    def attach(self, model: Tunable, seed: int) -> None:
        generator = randomness.torch_generator(seed, "finetune-attach")
        for layer in maps(model.transformer):
            both = (layer.attention, layer.feedforward)
            for name in both if self.options.placement == "houlsby" else both[1:]:
                place = f"transformer.{name}"
                model.set_submodule(place, Adapted(model.get_submodule(place), self.options.bottleneck, generator))

    def prepare(self, model: Tunable) -> None:
        only(model, [name for name, _ in model.named_parameters() if ".bottleneck." in name])

    def merge(self, model: Tunable) -> bool:
        return False


class Adapted(nn.Module):
    """A linear map, and a bottleneck that adds to what it gives."""

    def __init__(self, base_layer: nn.Module, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.base_layer, width = base_layer, _outputs(base_layer)
        self.bottleneck = nn.Sequential(nn.Linear(width, units), nn.GELU(), nn.Linear(units, width))
        for name, parameter in self.bottleneck.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=STD, a=-2 * STD, b=2 * STD, generator=generator)
        self.bottleneck.to(self.weight.device)

    @property
    def weight(self) -> Tensor:
        """That of the map, whose type T5 asks for."""
        return self.base_layer.weight  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        written: Tensor = self.base_layer(x)
        return written + self.bottleneck(written.float()).to(written.dtype)


def _outputs(layer: nn.Module) -> int:
    """How many numbers a map gives; GPT-2's has a name of its own for it."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.nf)  # type: ignore[arg-type]
