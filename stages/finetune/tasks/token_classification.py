"""A class for every word, as of named entities: cross-entropy at its first piece (Devlin et al. 2019, BERT, §5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from stages import paths
from stages.corpus.tables import FURTHER
from stages.finetune import tagged
from stages.finetune.examples import Batch, Examples
from stages.finetune.tagged import IGNORED, OUTSIDE
from stages.finetune.tasks.classification import Classification
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers


class TokenClassification(Classification):
    """An output a tag, at every token; answers are the tags of a text's words, with spaces between."""

    pooled = False

    def examples(
        self, task: str, split: str, tokenization: Tokenization, limit: int | None = None, seed: int = 0
    ) -> Examples:
        return tagged.load(task, split, tokenization, self.task.labels, limit, seed)

    def further(self, task: str, name: str, tokenization: Tokenization) -> Examples:
        return tagged.read(paths.task(task) / FURTHER / f"{name}.parquet", tokenization, self.task.labels)

    def unlabelled(self, rows: Sequence[Sequence[str]], tokenizer: Tokenizer, tokenization: Tokenization) -> Examples:
        return tagged.unlabelled([text for (text,) in rows], tokenizer, self.task.labels, tokenization)

    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Summed over examples, of each the mean over its words; outputs (examples, length, tags)."""
        losses = F.cross_entropy(
            outputs.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED, label_smoothing=smoothing
        )
        words = (labels != IGNORED).sum(1)
        return (losses.sum(1) / words.clamp_min(1)).sum()

    def read(self, outputs: Tensor, batch: Batch) -> NDArray[Any]:
        """The likeliest tag of each word; one whose beginning was cut off stands outside."""
        assert batch.words is not None
        chosen, words, answers = outputs.argmax(-1).cpu(), batch.words.tolist(), []
        for row, count in enumerate(batch.counts):
            tags = [OUTSIDE] * count
            for place, word in enumerate(words[row]):
                if word >= 0:
                    tags[word] = self.task.labels[int(chosen[row, place])]
            answers.append(" ".join(tags))
        return np.array(answers, dtype=np.object_)

    def predictions(self, scores: NDArray[Any]) -> Answers:
        return scores

    def rows(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Those of words, at their first pieces."""
        owners, places = torch.nonzero(batch.labels != IGNORED, as_tuple=True)
        return features[owners, places], batch.labels[owners, places], owners

    def agreement(self, labels: Answers, outputs: Tensor) -> float:
        """The mean F1 of tags: most words stand outside, so that the share of right ones tells little."""
        from sklearn.metrics import f1_score

        return float(f1_score(labels, outputs.argmax(-1).numpy(), average="macro", zero_division=0))
