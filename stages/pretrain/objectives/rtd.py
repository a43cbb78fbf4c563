"""Replaced token detection (Clark et al. 2020, ELECTRA, §2 and §3.2).

A small generator learns to restore masked tokens, all of which are [MASK] to it, and what it draws stands in for them
in the text; the model itself, the discriminator, says of every token whether it was replaced. Only the discriminator is
written to disk, so that a model pre-trained this way has a prediction head that was never trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, Linear, Norm, Stack
from stages.pretrain import masking
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY
from stages.pretrain.sequences import Text
from stages.tokenizer.special import MASK_ID
from stages.training.loss import Term

RESOLUTION = 2**40
"""Into how many equal parts a distribution is divided to draw from it."""


class Generator(nn.Module):
    """A narrower stack between projections from the width of the embeddings and back (ELECTRA, §3.2)."""

    def __init__(self, width: int, config: TransformerConfig) -> None:
        """``width``: of the embeddings; ``config``: of the stack."""
        super().__init__()
        self.narrow, self.narrow_norm = Linear(width, config.hidden_size), Norm(config.hidden_size)
        self.stack = Stack(config)
        self.widen, self.widen_norm = Linear(config.hidden_size, width), Norm(width)

    def forward(self, embedded: Tensor, attention_mask: Tensor | None, positions: Tensor) -> Tensor:
        """What to compare with the embeddings (targets, width), of the tokens at flat ``positions`` (targets,)."""
        states = self.stack.run(self.narrow_norm(self.narrow(embedded)), attention_mask, causal=False)[-1]
        return self.widen_norm(F.gelu(self.widen(states.flatten(0, 1)[positions])))


class Discriminator(nn.Module):
    """Dense, GELU, and one logit for each token: that it was replaced."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        self.classifier = Linear(width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, length, hidden_size) -> (batch, length)."""
        return self.classifier(F.gelu(self.dense(hidden))).squeeze(-1)


class Electra(LanguageModel):
    """A language model with a generator that shares its embeddings, and a head that judges tokens."""

    def __init__(self, config: TransformerConfig, small: TransformerConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config.hidden_size, small)
        self.discriminator = Discriminator(config.hidden_size)

    def guess(self, input_ids: Tensor, attention_mask: Tensor | None, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """The generator's logits (targets, vocab_size) at flat ``positions`` (targets,)."""
        embedded = self.model.embeddings(input_ids, dtype)
        return F.linear(self.generator(embedded, attention_mask, positions), self.output_weight.to(dtype)).float()


class ReplacedTokenDetection(Objective[Text]):
    """Tell the tokens of a text from those that a small masked language model put in their place."""

    architecture = "encoder"
    likelihood = False

    class Options(params.Section):
        """``mlm_probability``: share of the tokens that the generator draws while training.

        ``generator_size``: its share of the model's heads, each as wide as the model's, and of the feed-forward width.
        """

        mlm_probability: params.Share = 0.15
        generator_size: Annotated[float, Field(gt=0, le=1)] = 0.5
        discriminator_weight: Annotated[float, Field(gt=0)] = 50.0

    def build(self, config: TransformerConfig) -> Electra:
        return Electra(config, self._small(config))

    def terms(self, model: Electra, batch: Text, generator: torch.Generator, dtype: torch.dtype) -> dict[str, Term]:
        probability = self.options.mlm_probability if model.training else EVALUATION_PROBABILITY
        chosen = masking.mask(batch.input_ids, probability, self.vocabulary, generator)
        original, positions, labels = (
            tensor.to(model.model.device) for tensor in (batch.input_ids, chosen.positions, chosen.labels)
        )
        masked = _put(original, positions, torch.full_like(labels, MASK_ID))
        logits = model.guess(masked, batch.attention_mask, positions, dtype)
        corrupted = _put(original, positions, sample(logits, generator))
        verdicts = model.discriminator(model.model(corrupted, batch.attention_mask, dtype, causal=False)[-1]).float()
        replaced = (corrupted != original).float()
        told = F.binary_cross_entropy_with_logits(verdicts, replaced, reduction="sum")
        return {
            "generator": Term(F.cross_entropy(logits, labels, reduction="sum"), len(labels)),
            "discriminator": Term(told, replaced.numel(), weight=self.options.discriminator_weight),
        }

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        small, rows = self._small(config), batch_size * length
        width, targets = config.hidden_size, masking.count(rows, self.options.mlm_probability)
        generator = flops.product(rows, width, small.hidden_size) + flops.stack(small, batch_size, length)
        softmax = flops.product(targets, small.hidden_size, width) + flops.product(targets, width, config.vocab_size)
        discriminator = flops.product(rows, width, width) + flops.product(rows, width, 1)
        stack = flops.stack(config, batch_size, length)
        return flops.TRAINING * (generator + softmax + stack + discriminator)

    def _small(self, config: TransformerConfig) -> TransformerConfig:
        """The generator's sizes: fewer heads, as many layers."""
        share = self.options.generator_size
        heads = max(1, round(share * config.num_attention_heads))
        inner = max(1, round(share * config.intermediate_size))
        width = heads * config.head_dim
        return replace(config, hidden_size=width, num_attention_heads=heads, intermediate_size=inner)


def _put(input_ids: Tensor, positions: Tensor, tokens: Tensor) -> Tensor:
    """A copy with other ``tokens`` (targets,) at flat ``positions`` (targets,)."""
    return input_ids.flatten().index_copy(0, positions, tokens).view_as(input_ids)


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A token for each row (rows,), drawn from the softmax of its logits (rows, vocab_size).

    One lot a row falls into one of the parts that the probabilities divide the whole into. They are counted in whole
    numbers, whose sums are the same in whatever order a device adds them.
    """
    ends = (logits.softmax(-1) * RESOLUTION).long().cumsum(-1)
    lots = torch.randint(RESOLUTION, (len(logits), 1), generator=generator).to(logits.device)
    return torch.searchsorted(ends, lots, right=True).squeeze(1).clamp_max(logits.shape[1] - 1)
