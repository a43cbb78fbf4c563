"""Every weight is trained, the deeper the slower (Howard & Ruder 2018, ULMFiT, §3.2; Clark et al. 2020, ELECTRA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from stages.finetune.methods.full import Full
from stages.finetune.methods.gradient import HEAD
from stages.model.parts import parts
from stages.model.tunable import Tunable


class LayerwiseDecay(Full):
    """The head and the norm before it learn at the full rate, each layer at ``layer_decay`` times that of the next."""

    class Options(Full.Options):
        """``layer_decay``: ELECTRA has 0.8 for 12 layers, and ULMFiT 1/2.6 for 3."""

        layer_decay: Annotated[float, Field(gt=0, le=1)]

    def factors(self, model: Tunable) -> Mapping[str, float]:
        """Embeddings, and what else is no layer's own, are one step below the first layer."""
        found = parts(model.transformer)
        above = (*HEAD, *(f"transformer.{name}." for name in found.final))
        downwards = [above, *((f"transformer.{name}.",) for name in reversed(found.layers)), ("",)]
        return {
            name: self.options.layer_decay ** next(i for i, start in enumerate(downwards) if name.startswith(start))
            for name, _ in model.named_parameters()
        }
