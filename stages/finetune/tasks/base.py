"""What a family of tasks is to the models that are tuned on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from stages import metrics, token_store
from stages.finetune import examples
from stages.finetune.examples import Batch, Examples
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.model.dropout import Dropout
from stages.model.generation import Search
from stages.params import Finetune, Pooling
from stages.task import Task


class Head(NamedTuple):
    """A linear head: outputs are ``features @ weight.T + bias``, with weight (outputs, width) and bias (outputs,)."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


class Family(ABC):
    """How one task of the family is learnt, and what a model's outputs for it mean."""

    pooled: ClassVar[bool] = True
    """Whether a model answers of the text as a whole, and not at its tokens."""

    probed: ClassVar[bool] = True
    """Whether a regression on what a model makes of its tokens, or of the text, is the best linear head."""

    writes: ClassVar[bool] = False
    """Whether answers are texts that a model writes."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def examples(
        self, task: str, split: str, tokenization: Tokenization, limit: int | None = None, seed: int = 0
    ) -> Examples:
        """Those of a split: see `stages.finetune.examples.load`."""
        return examples.load(task, split, tokenization, limit, seed)

    def validation(self, task: str, tokenization: Tokenization, settings: Finetune) -> Examples:
        """The validation examples in use: the same for every run, whatever its seed."""
        return self.examples(task, "validation", tokenization, settings.max_validation_examples)

    def further(self, task: str, name: str, tokenization: Tokenization) -> Examples:
        """All of a further set: see `stages.finetune.examples.further`."""
        return examples.further(task, name, tokenization)

    def pooling(self, settings: Finetune) -> Pooling:
        """What a text's states become one by."""
        return settings.pools if self.pooled else "none"

    @property
    def search(self) -> Search | None:
        """How texts are looked for that are written in answer."""
        return None

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an example."""
        return len(self.task.labels) or 1

    def unlabelled(self, rows: Sequence[Sequence[str]], tokenizer: Tokenizer, tokenization: Tokenization) -> Examples:
        """Rows of texts whose labels are not known."""
        encodings = tokenizer.encode_batch_fast([row[0] if len(row) == 1 else tuple(row) for row in rows])
        store = token_store.collect(((one.ids, 0) for one in encodings), np.zeros(len(rows), dtype=np.int64))
        return Examples(store, np.arange(len(rows)), tokenization.max_length, tokenization.pad_id)

    def total(self, model: Any, batch: Batch, dtype: torch.dtype, dropout: Dropout, smoothing: float) -> Tensor:
        """The loss of a model that is trained, summed over what `Examples.weight` counts."""
        outputs = model(batch.input_ids, batch.attention_mask, dtype, dropout)
        return self.loss(outputs, batch.labels.to(outputs.device), smoothing)

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Summed over examples, from outputs (examples, outputs) and labels (examples,).

        ``smoothing``: share of the target that all classes get alike (Szegedy et al. 2016, §7).
        """

    @abstractmethod
    def scores(self, outputs: Tensor) -> Tensor:
        """What the outputs say, (examples, outputs): probabilities of classes, or the score itself."""

    def answers(self, model: Any, batch: Batch, dtype: torch.dtype) -> NDArray[Any]:
        """What a model says of a batch, an entry an example."""
        return self.read(model(batch.input_ids, batch.attention_mask, dtype).float(), batch)

    def read(self, outputs: Tensor, batch: Batch) -> NDArray[Any]:
        """What a batch's outputs say, an entry an example."""
        found: NDArray[Any] = self.scores(outputs).cpu().numpy()
        return found

    def rows(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What a linear head learns from: features (rows, …), their labels, and the example that each belongs to."""
        return features, batch.labels, torch.arange(len(features))

    def agreement(self, labels: Answers, outputs: Tensor) -> float:
        """How good a linear head is, from its outputs for `rows`."""
        return self.figures(labels, self.scores(outputs).numpy())["score"]

    @abstractmethod
    def predictions(self, scores: NDArray[Any]) -> Answers:
        """An answer for each example, of the kind of its label."""

    @abstractmethod
    def heads(self, features: NDArray[np.float32], labels: Answers) -> Iterator[Head]:
        """The best linear head on standardised features (examples, width), for each of several penalties."""

    def figures(self, labels: Answers, scores: NDArray[Any]) -> dict[str, float]:
        """All metrics of the family, and as ``score`` the one that the task is judged by."""
        found = metrics.of(self.task.family).values(labels, self.predictions(scores), len(self.task.labels))
        return {"score": found[self.task.metric], **found}
