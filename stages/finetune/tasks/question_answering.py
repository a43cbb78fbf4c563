"""Answers that stand in a text: the tokens at which they begin and end (Devlin et al. 2019, BERT, §4.2 and §4.3)."""

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
from stages.finetune import windows
from stages.finetune.examples import Batch, Examples
from stages.finetune.tasks.base import Family, Head
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers

LONGEST = 30
"""Tokens of an answer."""


class QuestionAnswering(Family):
    """Two outputs at every token; that of a text that has no answer is its first token."""

    pooled = probed = False

    def examples(
        self, task: str, split: str, tokenization: Tokenization, limit: int | None = None, seed: int = 0
    ) -> Examples:
        return windows.load(task, split, tokenization, limit, seed)

    def further(self, task: str, name: str, tokenization: Tokenization) -> Examples:
        return windows.read(paths.task(task) / FURTHER / f"{name}.parquet", tokenization)

    def unlabelled(self, rows: Sequence[Sequence[str]], tokenizer: Tokenizer, tokenization: Tokenization) -> Examples:
        return windows.unlabelled([row[0] for row in rows], [row[1] for row in rows], tokenizer, tokenization)

    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Summed over windows, the mean of both ends; outputs (windows, length, 2), labels (windows, 2)."""
        ends = [
            F.cross_entropy(outputs[..., end], labels[:, end], reduction="sum", label_smoothing=smoothing)
            for end in (0, 1)
        ]
        return (ends[0] + ends[1]) / 2

    def read(self, outputs: Tensor, batch: Batch) -> NDArray[Any]:
        """Of each window what `Windows.joined` takes."""
        assert batch.words is not None
        within = (batch.words >= 0).to(outputs.device)[..., None]
        start, end = outputs.masked_fill(~within, -torch.inf).unbind(-1)
        length = start.shape[1]
        order = torch.ones(length, length, dtype=torch.bool, device=outputs.device).triu().tril(LONGEST - 1)
        both = (start[:, :, None] + end[:, None, :]).masked_fill(~order, -torch.inf).flatten(1)
        sure, place = both.max(1)
        silence = outputs[:, 0].sum(-1) if self.task.silent else torch.full_like(sure, -torch.inf)
        found: NDArray[Any] = torch.stack([sure, place // length, place % length, silence], 1).cpu().numpy()
        return found

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs

    def predictions(self, scores: NDArray[Any]) -> Answers:
        return scores

    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        """None: no regression on single tokens tells which of a text's many an answer begins with."""
        return iter(())
