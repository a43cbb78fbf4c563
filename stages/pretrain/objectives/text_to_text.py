"""What objectives share that turn a text into a source and a target (Raffel et al. 2020, T5, §2.1)."""

from __future__ import annotations

from typing import Any

from stages.pretrain.objectives.base import Batch, Objective
from stages.tokenizer.vocabulary import Vocabulary


class TextToText(Objective[Batch]):
    """An objective whose ``Options`` say which architecture reads the source: `stages.pretrain.source_target`."""

    def __init__(self, options: Any, vocabulary: Vocabulary) -> None:
        super().__init__(options, vocabulary)
        self.architecture = options.architecture
