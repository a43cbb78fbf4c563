"""Pre-training as the engine sees it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from stages.model.transformer import LanguageModel
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Sequences, ShuffledBatches
from stages.training import randomness
from stages.training.loop import Loss

EVALUATION_BATCH = 32


class Pretraining:
    """One objective on the packed corpus."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective,
        batches: ShuffledBatches,
        validation: Sequences,
        *,
        bytes_per_token: float,
        seed: int,
        dtype: torch.dtype,
    ) -> None:
        self.model, self._objective, self._dtype, self._seed = model, objective, dtype, seed
        self._batches, self._validation, self._bytes_per_token = batches, validation, bytes_per_token

    def loss(self, step: int) -> Loss:
        """The objective's loss on batch ``step``."""
        input_ids = self._batches[step]
        total, count = self._nll(input_ids, randomness.torch_generator(self._seed, "objective", step))
        return Loss(total, count, input_ids.numel())

    def evaluate(self) -> dict[str, float]:
        """Loss in nats per target over all held-out windows, perplexity, and bits per byte.

        The draws are the same at every evaluation and for every seed. Bits per byte take the loss per
        target as that of every token: the likelihood of the text for causal models, and for masked ones
        only a figure that compares across tokenizers.
        """
        nll, count = 0.0, 0
        for start in range(0, len(self._validation), EVALUATION_BATCH):
            indices = np.arange(start, min(start + EVALUATION_BATCH, len(self._validation)))
            generator = randomness.torch_generator(0, "validation", start)
            total, targets = self._nll(self._validation.take(indices), generator)
            nll, count = nll + total.item(), count + targets
        loss = nll / count
        bits = loss / math.log(2) / self._bytes_per_token
        return {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": bits}

    def _nll(self, input_ids: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
        return self._objective.nll(self.model, input_ids, generator, self._dtype)
