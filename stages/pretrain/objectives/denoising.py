"""Denoising a text as a whole (Lewis et al. 2020, BART, §2.2): sentences out of order, and spans become [MASK].

BART draws spans until 30 % of a text are masked. Here their number is fixed as well, for static shapes: that of spans
of the mean length that mask as much. Poisson lengths whose number and sum are known are multinomial, so each masked
token falls to any of the spans alike, and the source needs no padding. A span may cover any token, [SEP] as well.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import source_target
from stages.pretrain.objectives.text_to_text import TextToText
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import Pairs, moved
from stages.tokenizer.special import MASK_ID, SEP_ID
from stages.tokenizer.vocabulary import Vocabulary
from stages.training.loss import Term


class Denoising(TextToText[Text]):
    """Write out a text, given what is left of it."""

    class Options(params.Section):
        """``mask_ratio``: share of the tokens that are masked; ``poisson_lambda``: tokens of a span, on average."""

        mask_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.3
        poisson_lambda: Annotated[float, Field(gt=0)] = 3.0
        permute_sentences: bool = True
        architecture: source_target.Architecture = "encoder_decoder"

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        source = permute(batch, self.vocabulary, generator) if self.options.permute_sentences else batch
        source = infill(source, *self._counts(batch.input_ids.shape[1]), generator)
        return {"denoising": source_target.loss(model, Pairs(source, batch), dtype)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        masked, spans = self._counts(length)
        return flops.TRAINING * source_target.cost(config, batch_size, length - masked + spans, length)

    def _counts(self, length: int) -> tuple[int, int]:
        """How many tokens of a text are masked, and in how many spans."""
        masked = round(self.options.mask_ratio * length)
        return masked, math.ceil(masked / self.options.poisson_lambda)


def permute(text: Text, vocabulary: Vocabulary, generator: torch.Generator) -> Text:
    """The sentences of each row in any order.

    A sentence ends where the text does, or with the last of a run of tokens that end one, [SEP] among them.
    """
    stops = vocabulary.ends_sentence[text.input_ids] | (text.input_ids == SEP_ID)
    ends = stops[:, :-1] & ~stops[:, 1:]
    sentences = torch.cat([ends.new_zeros(len(ends), 1), ends], 1).cumsum(1)
    lots = torch.rand(sentences.shape, generator=generator)
    order = lots.gather(1, sentences).argsort(dim=1, stable=True)
    return moved(text, lambda tokens: tokens.gather(1, order))


def infill(text: Text, masked: int, spans: int, generator: torch.Generator) -> Text:
    """Each row with ``masked`` of its tokens in ``spans`` spans, of which each becomes one [MASK]; empty ones, too.

    A [MASK] belongs to the document of the span's first token, or of the token behind it if it is empty.
    """
    if not spans:
        return text
    rows, length = text.input_ids.shape
    left = length - masked + spans
    masks = torch.rand(rows, left, generator=generator).topk(spans).indices
    lengths = span_lengths(rows, masked, spans, generator)
    stand_for = torch.ones(rows, left, dtype=torch.long).scatter(1, masks, lengths)
    starts = (stand_for.cumsum(1) - stand_for).clamp(max=length - 1)
    remaining = moved(text, lambda tokens: tokens.gather(1, starts))
    return remaining._replace(input_ids=remaining.input_ids.scatter(1, masks, MASK_ID))


def span_lengths(rows: int, tokens: int, spans: int, generator: torch.Generator) -> Tensor:
    """Poisson lengths (rows, spans) of any mean, given that each row's add up to ``tokens``."""
    owners = torch.randint(spans, (rows, tokens), generator=generator)
    return torch.zeros(rows, spans, dtype=torch.long).scatter_add(1, owners, torch.ones_like(owners))
