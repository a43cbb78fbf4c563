"""Masked language modelling (Devlin et al. 2019, BERT, §3.1), masks drawn anew for every batch (RoBERTa, §4.1)."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from stages import params
from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective
from stages.tokenizer.special import MASK_ID, SPECIAL_TOKENS

MASKED, RANDOM = 0.8, 0.1  # shares of the targets that become [MASK] and a random token; the rest stays
EVALUATION_PROBABILITY = 0.15  # BERT's, whatever the training rate, so that losses compare


class Corrupted(NamedTuple):
    """A batch to restore: ``labels`` (targets,) stand at flat ``positions`` (targets,) of ``input_ids``."""

    input_ids: Tensor
    positions: Tensor
    labels: Tensor


class MaskedLM(Objective):
    """Restore tokens that were masked, from both sides."""

    causal = False

    class Options(params.Section):
        """``mlm_probability``: share of the tokens that are targets while training."""

        mlm_probability: Annotated[float, Field(gt=0, lt=1)]

    def corrupt(self, input_ids: Tensor, probability: float, generator: torch.Generator) -> Corrupted:
        """Choose targets among the ordinary tokens and replace 80 % by [MASK], 10 % by any ordinary token.

        The number of targets is fixed by the batch's shape, so that shapes stay static; which ones is drawn
        uniformly without replacement.
        """
        flat = input_ids.flatten()
        ordinary = flat >= len(SPECIAL_TOKENS)
        count = min(max(1, round(probability * len(flat))), int(ordinary.sum()))
        lots = torch.rand(len(flat), generator=generator).masked_fill(~ordinary, -1)
        positions = lots.topk(count).indices.sort().values
        labels = flat[positions]
        fate = torch.rand(count, generator=generator)
        anything = torch.randint(len(SPECIAL_TOKENS), self.vocab_size, (count,), generator=generator)
        replaced = torch.where(fate < MASKED, MASK_ID, torch.where(fate < MASKED + RANDOM, anything, labels))
        return Corrupted(flat.index_copy(0, positions, replaced).view_as(input_ids), positions, labels)

    def nll(
        self, model: LanguageModel, input_ids: Tensor, generator: torch.Generator, dtype: torch.dtype
    ) -> tuple[Tensor, int]:
        probability = self.options.mlm_probability if model.training else EVALUATION_PROBABILITY
        batch = self.corrupt(input_ids, probability, generator)
        hidden = model.model(batch.input_ids, dtype=dtype)[-1]
        return model.nll(hidden.flatten(0, 1)[batch.positions], batch.labels), len(batch.labels)
