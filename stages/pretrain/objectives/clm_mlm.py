"""Causal and masked language modelling by one model (Charpentier & Samuel 2024, GPT or BERT: why not both?, §2).

Of every batch some rows are read causally and the others masked, by the same weights. The paper predicts a masked token
from the position before it, so that the head always says what comes next. Here it is predicted where it stands, as BERT
does: the model goes on as an encoder, and whatever asks an exported one for a masked token, as pseudo-log-likelihoods
do, reads the answer there.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import masking
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.clm import next_token, next_token_flops
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, restored
from stages.pretrain.sequences import Text
from stages.training.loss import Term


class CausalAndMaskedLM(Objective[Text]):
    """Predict the next tokens of some rows, and restore masked tokens of the others.

    Each loss weighs as much as its share of the rows, as if all rows' losses were averaged. Which rows are causal is
    not drawn: they come in an order drawn already.
    """

    architecture = "encoder"
    scoring = ("causal", "pseudo")

    class Options(params.Section):
        """``mlm_probability``: share of the masked rows' tokens that are targets while training.

        ``causal_share``: of the rows.
        """

        mlm_probability: params.Share
        causal_share: params.Share = 0.5

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        causal, masked = self._split(len(batch.input_ids))
        share = self.options.causal_share
        mlm = self._restored(model, _rows(batch, slice(-masked, None)), generator, dtype)
        clm = next_token(model, _rows(batch, slice(causal)), dtype)
        return {"mlm": replace(mlm, weight=1 - share), "clm": replace(clm, weight=share)}

    def _restored(self, model: LanguageModel, text: Text, generator: torch.Generator, dtype: torch.dtype) -> Term:
        probability = self.options.mlm_probability if model.training else EVALUATION_PROBABILITY
        masked = masking.mask(text.input_ids, probability, self.vocabulary, generator)
        return restored(model, model.model(masked.input_ids, text.attention_mask, dtype, causal=False)[-1], masked)

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        causal, masked = self._split(batch_size)
        targets = masking.count(masked * length, self.options.mlm_probability)
        restoring = flops.stack(config, masked, length) + flops.head(config, targets)
        return flops.TRAINING * (restoring + next_token_flops(config, causal, length))

    def _split(self, rows: int) -> tuple[int, int]:
        """How many of the first rows are causal and how many of the last masked; one at least: a lone row is both."""
        causal = min(max(1, round(self.options.causal_share * rows)), rows - 1)
        return max(1, causal), rows - causal


def _rows(text: Text, part: slice) -> Text:
    return Text(text.input_ids[part], None if text.documents is None else text.documents[part])
