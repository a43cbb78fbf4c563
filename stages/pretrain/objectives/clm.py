"""Causal language modelling: the next token from those before it (Radford et al. 2019, GPT-2, §2)."""

from __future__ import annotations

import torch
from torch import Tensor

from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective


class CausalLM(Objective):
    """Predict every token but the first of a window; the loss is the text's likelihood."""

    causal = True

    def nll(
        self, model: LanguageModel, input_ids: Tensor, generator: torch.Generator, dtype: torch.dtype
    ) -> tuple[Tensor, int]:
        hidden = model.model(input_ids, dtype=dtype)[-1][:, :-1]
        labels = input_ids[:, 1:].flatten()
        return model.nll(hidden.flatten(0, 1), labels), len(labels)
