"""Attention heads go, with their queries, keys, values and what they write.

After Michel et al. 2019, Are Sixteen Heads Really Better than One?, §2; one is left in every attention.
"""

from __future__ import annotations

from torch import nn

from stages.compress.structured import Structured
from stages.compress.units import HEADS, Block


class PruneHeads(Structured):
    """In every layer the same share."""

    layouts = HEADS
    units = "heads"

    def _find(self, model: nn.Module) -> list[Block]:
        if any(name.endswith(".prefix") for name, _ in model.named_modules()):
            raise self.unfit("the model has a prefix of keys and values for all of its heads: leave this step out")
        return super()._find(model)
