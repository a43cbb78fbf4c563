"""Supervised multi-task learning, text to text (Raffel et al. 2020, T5, §2.4 and §3.5.2): pre-training with labels.

What it learns from is the tasks' own training examples, and no more of them than fine-tuning may see: with the same
seed it is given the very same ones, so that it has no label that the others lack.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from stages import params
from stages.model import flops
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel
from stages.pretrain import labelled, source_target
from stages.pretrain.material import Corpus, Material
from stages.pretrain.objectives.text_to_text import TextToText
from stages.pretrain.source_target import Pairs
from stages.training.loss import Term

MAX_VALIDATION_EXAMPLES = 500
"""Of each task: enough to see whether the loss falls."""


class Multitask(TextToText[Pairs]):
    """Write the name of a text's label, given the name of its task."""

    reads_labels = True
    likelihood = False

    class Options(params.Section):
        """``max_train_examples``: of a task, or null; ``target_length``: tokens of a label's name, with [SEP]."""

        max_train_examples: Annotated[int, Field(ge=1)] | None
        target_length: Annotated[int, Field(ge=2)] = 2
        architecture: source_target.Architecture = "encoder_decoder"

    def corpus(self, material: Material) -> Corpus:
        train = self._examples(material, "train", self.options.max_train_examples, material.seed)
        validation = self._examples(material, "validation", MAX_VALIDATION_EXAMPLES, 0)
        return Corpus(train, validation, bytes_per_token=1.0)

    def _examples(self, material: Material, part: str, limit: int | None, seed: int) -> labelled.Examples:
        tasks = labelled.read(material.gathered, part, limit, seed)
        return labelled.Examples(tasks, material.sequence_length, self.options.target_length)

    def terms(
        self, model: LanguageModel, batch: Pairs, generator: torch.Generator, dtype: torch.dtype
    ) -> dict[str, Term]:
        return {"multitask": source_target.loss(model, batch, dtype)}

    def flops(self, config: TransformerConfig, batch_size: int, length: int) -> int:
        return flops.TRAINING * source_target.cost(config, batch_size, length, self.options.target_length)
