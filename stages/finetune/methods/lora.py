"""Low-rank updates beside frozen maps (Hu et al. 2022, LoRA, §4.1): Wx + (α/r) BAx, with B = 0 at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stages.finetune.methods.injected import Injected, targets
from stages.model.backbone import Backbone
from stages.model.parts import linear_maps

if TYPE_CHECKING:
    from peft import PeftConfig


class Lora(Injected):
    """In every linear map of attention and feed-forward."""

    class Options(Injected.Options):
        """``rank`` is r, ``alpha`` is α."""

        rank: Annotated[int, Field(ge=1)]
        alpha: Annotated[float, Field(gt=0)]

    def config(self, backbone: Backbone) -> PeftConfig:
        from peft import LoraConfig

        names = linear_maps(backbone)
        return LoraConfig(r=self.options.rank, lora_alpha=self.options.alpha, **targets(backbone, names))
