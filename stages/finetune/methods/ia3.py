"""Units are rescaled (Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning, §3.3): keys, values, inner states.

Where queries come from the same map as keys and values they are rescaled with them, as PEFT has it for such models; in
an attention score that is one more factor of the same kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from stages.finetune.methods.injected import Injected, targets
from stages.model.backbone import Backbone
from stages.model.parts import maps

if TYPE_CHECKING:
    from peft import PeftConfig


class IA3(Injected):
    """One factor for each unit of keys and values, and of what the feed-forward writes from."""

    def config(self, backbone: Backbone) -> PeftConfig:
        from peft import IA3Config

        found = maps(backbone)
        inner = [layer.feedforward for layer in found]
        names = [name for layer in found for name in layer.key_value] + inner
        return IA3Config(feedforward_modules=inner, **targets(backbone, names))

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Factors are no weights: decay would pull them to 0, and leaving all as it was is 1."""
        return "ia3_" not in name and super().decays(name, parameter)
