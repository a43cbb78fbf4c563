"""Texts written in answer to others, as translations and summaries: cross-entropy of each token, beam search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from stages import paths
from stages.corpus.tables import FURTHER
from stages.finetune import written
from stages.finetune.examples import Batch, Examples
from stages.finetune.tasks.base import Family, Head
from stages.finetune.tokenization import Tokenization
from stages.finetune.written import IGNORED
from stages.metrics.base import Answers
from stages.model.dropout import Dropout
from stages.model.generation import Search
from stages.model.generator import Generator
from stages.params import Finetune, Pooling
from stages.tokenizer.special import SEP_ID


class Generation(Family):
    """Answers are texts; the loss is the mean over all tokens that are to be written, whatever text they belong to."""

    pooled = probed = False
    writes = True

    @property
    def search(self) -> Search:
        """How the task wants texts to be looked for."""
        assert self.task.target is not None
        asked = self.task.target
        return Search(SEP_ID, asked.max_length, asked.beams, asked.length_penalty)

    def pooling(self, settings: Finetune) -> Pooling:
        """The decoder's end, where there is one: both stacks are needed."""
        return "last"

    def examples(
        self, task: str, split: str, tokenization: Tokenization, limit: int | None = None, seed: int = 0
    ) -> Examples:
        return written.load(task, split, tokenization, self.search.max_new_tokens, limit, seed)

    def further(self, task: str, name: str, tokenization: Tokenization) -> Examples:
        table = paths.task(task) / FURTHER / f"{name}.parquet"
        return written.read(table, tokenization, self.search.max_new_tokens)

    def unlabelled(self, rows: Sequence[Sequence[str]], tokenizer: Tokenizer, tokenization: Tokenization) -> Examples:
        return written.unlabelled(rows, tokenizer, tokenization, self.search.max_new_tokens)

    def total(self, model: Any, batch: Batch, dtype: torch.dtype, dropout: Dropout, smoothing: float) -> Tensor:
        outputs = model(batch.input_ids, batch.attention_mask, batch.labels, dtype, dropout)
        return self.loss(outputs, batch.labels.to(outputs.device), smoothing)

    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Summed over tokens; outputs (examples, written, vocab_size), labels (examples, written)."""
        return F.cross_entropy(
            outputs.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=IGNORED, label_smoothing=smoothing
        )

    def answers(self, model: Any, batch: Batch, dtype: torch.dtype) -> NDArray[Any]:
        """What is written, as token ids."""
        assert isinstance(model, Generator)
        found = np.empty(len(batch.labels), dtype=np.object_)
        found[:] = model.generate(batch.input_ids, batch.attention_mask, self.search, dtype)
        return found

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs

    def predictions(self, scores: NDArray[Any]) -> Answers:
        return scores

    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        """None: no regression writes."""
        return iter(())
