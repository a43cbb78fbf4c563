"""Span corruption (Raffel et al. 2020, T5, §3.1.4 and §3.3.4): spans become sentinels, and the spans are predicted.

T5 reads as much text as leaves a source of its sequence length. Here the text has that length and the source is
shorter, for the text is what a step takes from every objective alike.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import source_target
from stages.pretrain.objectives.text_to_text import TextToText
from stages.pretrain.sequences import Text
from stages.pretrain.spans import Corruption
from stages.training.loss import Term

REMEDY = (
    "lower objectives.span_corruption.noise_density or pretrain.sequence_length, or raise "
    "objectives.span_corruption.mean_span_length"
)


class SpanCorruption(TextToText[Text]):
    """Write out the spans that were taken from a text, given the rest."""

    class Options(params.Section):
        """``noise_density``: share of the tokens that are taken out; ``mean_span_length``: tokens of a span."""

        noise_density: params.Share = 0.15
        mean_span_length: Annotated[float, Field(ge=1)] = 3.0
        architecture: source_target.Architecture = "encoder_decoder"

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        pairs = self._corruption(batch.input_ids.shape[1]).pairs(batch, generator)
        return {"span_corruption": source_target.loss(model, pairs, dtype)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        corruption = self._corruption(length)
        cost = source_target.cost(config, batch_size, corruption.source_length, corruption.target_length)
        return flops.TRAINING * cost

    def _corruption(self, length: int) -> Corruption:
        return Corruption.of(length, self.options.noise_density, self.options.mean_span_length, remedy=REMEDY)
