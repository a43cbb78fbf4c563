"""Masked language modelling (Devlin et al. 2019, BERT, §3.1), masks drawn anew for every batch (RoBERTa, §4.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from stages import params
from stages.model import flops
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import masking
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Text
from stages.training.loss import Term

EVALUATION_PROBABILITY = 0.15  # BERT's, whatever the training rate, so that losses compare


class MaskedLM(Objective[Text]):
    """Restore tokens that were masked, from both sides."""

    architecture = "encoder"
    scoring: ClassVar[tuple[ScoringMode, ...]] = ("pseudo",)

    class Options(params.Section):
        """``mlm_probability``: share of the tokens that are targets while training; ``whole_word``: whole words are."""

        mlm_probability: Annotated[float, Field(gt=0, lt=1)]
        whole_word: bool = False

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        probability = self.options.mlm_probability if model.training else EVALUATION_PROBABILITY
        masked = masking.mask(
            batch.input_ids, probability, self.vocabulary, generator, whole_word=self.options.whole_word
        )
        hidden = model.model(masked.input_ids, batch.attention_mask, dtype, causal=False)[-1]
        return {"mlm": restored(model, hidden, masked)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        targets = masking.count(batch_size * length, self.options.mlm_probability)
        return flops.TRAINING * (flops.stack(config, batch_size, length) + flops.head(config, targets))


def restored(model: LanguageModel, hidden: torch.Tensor, masked: masking.Masked) -> Term:
    """The summed loss of the masked tokens, given the last states (batch, length, hidden_size)."""
    return Term(model.nll(hidden.flatten(0, 1)[masked.positions], masked.labels), len(masked.labels))
