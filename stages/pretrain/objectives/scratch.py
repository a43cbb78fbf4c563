"""No pre-training: the initial weights, and the row that every objective must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, MaskedLM


class Scratch(Objective):
    """Untrained; its validation loss is that of guessing masked tokens with initial weights."""

    causal = False
    trains = False

    def nll(
        self, model: LanguageModel, input_ids: Tensor, generator: torch.Generator, dtype: torch.dtype
    ) -> tuple[Tensor, int]:
        mlm = MaskedLM(MaskedLM.Options(mlm_probability=EVALUATION_PROBABILITY), self.vocab_size)
        return mlm.nll(model, input_ids, generator, dtype)
