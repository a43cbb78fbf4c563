"""What a pre-training objective is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from stages import params
from stages.model.transformer import LanguageModel


class Objective(ABC):
    """One way to turn text into a loss.

    A subclass states ``causal``, its ``Options`` (the keys under ``objectives.<name>``), and ``nll``.
    """

    causal: ClassVar[bool]
    trains: ClassVar[bool] = True

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any, vocab_size: int) -> None:
        self.options, self.vocab_size = options, vocab_size

    @abstractmethod
    def nll(
        self, model: LanguageModel, input_ids: Tensor, generator: torch.Generator, dtype: torch.dtype
    ) -> tuple[Tensor, int]:
        """Summed negative log-likelihood in nats, and the number of targets it is summed over.

        Args:
            model: in training mode while learning, in evaluation mode for held-out text.
            input_ids: (batch, length), int64, text without padding.
            generator: for all draws that belong to this batch.
            dtype: the type to compute in.
        """
