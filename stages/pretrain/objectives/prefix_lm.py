"""Prefix language modelling (Raffel et al. 2020, T5, §3.2.1–3.2.3; Liu et al. 2018): a text goes on behind its start.

The start is seen from both sides, and the loss is of what follows it. Where it ends is drawn uniformly for every row,
and mirrored for another, so that two rows have as many targets as one has tokens and a batch always as many.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stages.model import flops, visibility
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Text
from stages.training.loss import Term


class PrefixLM(Objective[Text]):
    """Predict every token behind a prefix from the prefix and those before it."""

    architecture = "prefix_decoder"
    scoring = ("causal",)

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        rows, length = batch.input_ids.shape
        prefixes = draw(rows, length, generator)
        seen = visibility.prefix(prefixes, length)
        if batch.attention_mask is not None:
            seen = seen & batch.attention_mask
        hidden = model.model(batch.input_ids, seen, dtype, causal=False)[-1].flatten(0, 1)
        targets = (torch.arange(length) >= prefixes[:, None]).flatten().nonzero().squeeze(1)
        return {"prefix_lm": Term(model.nll(hidden[targets - 1], batch.input_ids.flatten()[targets]), len(targets))}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        pairs, odd = divmod(batch_size, 2)
        targets = pairs * length + odd * (length - length // 2)
        return flops.TRAINING * (flops.stack(config, batch_size, length) + flops.head(config, targets))


def draw(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """How long each row's prefix is: from 1 to ``length - 1``, all as likely, and with its mirror in another row.

    An odd row is cut in the middle.
    """
    drawn = torch.randint(1, length, (rows // 2,), generator=generator)
    return torch.cat([drawn, drawn.new_full((rows % 2,), length // 2), length - drawn])
