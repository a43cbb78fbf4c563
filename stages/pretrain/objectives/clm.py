"""Causal language modelling: the next token from those before it (Radford et al. 2019, GPT-2, §2)."""

from __future__ import annotations

import torch

from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Text
from stages.training.loss import Term


class CausalLM(Objective[Text]):
    """Predict every token but the first of a window; the loss is the text's likelihood."""

    architecture = "decoder"
    scoring = ("causal",)

    def terms(
        self, model: LanguageModel, batch: Text, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        return {"clm": next_token(model, batch, dtype)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        return flops.TRAINING * next_token_flops(config, batch_size, length)


def next_token(model: LanguageModel, text: Text, dtype: torch.dtype) -> Term:
    """The summed loss of every token that has one before it, whatever the model's own direction."""
    hidden = model.model(text.input_ids, text.attention_mask, dtype, causal=True)[-1][:, :-1]
    labels = text.input_ids[:, 1:].flatten()
    return Term(model.nll(hidden.flatten(0, 1), labels), len(labels))


def next_token_flops(config: TransformerConfig, batch_size: int, length: int) -> int:
    """Floating-point operations of `next_token`, forward."""
    return flops.stack(config, batch_size, length) + flops.head(config, batch_size * (length - 1))
