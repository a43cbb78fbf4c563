"""No pre-training: the initial weights, and the row that every objective must beat."""

from __future__ import annotations

from typing import Any

from stages import params
from stages.model.config import TransformerConfig
from stages.pretrain.objectives.mlm import EVALUATION_PROBABILITY, MaskedLM
from stages.tokenizer.vocabulary import Vocabulary


class Scratch(MaskedLM):
    """Untrained; its validation loss is that of guessing masked tokens with initial weights."""

    trains = False
    scoring = ("causal", "pseudo")

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any, vocabulary: Vocabulary) -> None:
        super().__init__(MaskedLM.Options(mlm_probability=EVALUATION_PROBABILITY), vocabulary)

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        return 0
