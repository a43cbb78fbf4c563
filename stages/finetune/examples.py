"""A task's examples as tensors: which ones are used, how they are cut, padded and batched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from stages import paths, token_store
from stages.corpus.tables import FURTHER
from stages.errors import StageError
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.token_store import Ids, TokenStore
from stages.tokenizer import encode
from stages.training import randomness


@dataclass(frozen=True)
class Batch:
    """Padded token ids (batch, length), their mask (1 at real tokens), and labels (batch,).

    Where labels are of words, they are (batch, length), as ``words``, the number of the word that a token begins or -1;
    ``counts`` is how many words there are, whether or not they were cut off.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    words: Tensor | None = None
    counts: tuple[int, ...] = ()


class Examples:
    """Some examples of one split of a task, cut to ``max_length`` tokens and padded with ``pad_id``."""

    def __init__(self, store: TokenStore, indices: NDArray[np.int64], max_length: int, pad_id: int) -> None:
        self._store, self.indices, self._max_length, self._pad_id = store, indices, max_length, pad_id
        self.lengths = np.minimum(store.lengths[indices], max_length)
        self.labels: Answers = np.asarray(store.labels)[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, places: NDArray[np.int64]) -> Batch:
        """Those at these places."""
        return Batch(*self.padded(places), torch.from_numpy(self.labels[places]))

    def padded(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The ids of the examples at these places, padded to the longest of them, and which are real."""
        input_ids = np.full((len(places), int(self.lengths[places].max())), self._pad_id, dtype=np.int64)
        for row, place in zip(input_ids, places, strict=True):
            row[: self.lengths[place]] = self._cut(self._store[int(self.indices[place])])
        ids = torch.from_numpy(input_ids)
        real = torch.arange(ids.shape[1])[None] < torch.from_numpy(self.lengths[places])[:, None]
        return ids, real.long()

    def weight(self, places: NDArray[np.int64]) -> int:
        """What a loss over the examples at these places is the mean over."""
        return len(places)

    def joined(self, rows: NDArray[Any]) -> NDArray[Any]:
        """What is said of each example, of what was said of all that batches are made of."""
        return rows

    def _cut(self, ids: Ids) -> Ids:
        """The first tokens, and the closing [SEP] where it was cut off."""
        if len(ids) <= self._max_length:
            return ids
        return np.append(ids[: self._max_length - 1], ids[-1])

    def by_length(self, batch_size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """All examples with their places, similar lengths together."""
        order = np.argsort(self.lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            yield places, self.batch(places)

    def shuffled(self, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The places of each batch of an epoch."""
        order = randomness.numpy_generator(seed, "finetune-order", epoch).permutation(len(self))
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def load(task: str, split: str, tokenization: Tokenization, limit: int | None = None, seed: int = 0) -> Examples:
    """Examples of a split, as a model reads them.

    All of them, or at most ``limit``, drawn without replacement; another seed draws others.

    Raises:
        StageError: the split is missing or empty.
    """
    store, indices = _read(task, split, tokenization, limit, seed)
    if not len(store) or store.labels is None:
        raise StageError(f"task {task}: its {split} split has no labelled examples: look at its source in params.yaml")
    return Examples(store, indices, tokenization.max_length, tokenization.pad_id)


def check_labels(task: str, train: Examples, validation: Examples) -> None:
    """Refuse examples that nothing can be learnt or chosen by.

    Raises:
        StageError: all of them have one label.
    """
    for name, part in (("train", train), ("validation", validation)):
        if len(set(part.labels.tolist())) < 2:
            raise StageError(
                f"task {task}: the {len(part)} {name} examples in use all have one label; "
                "raise finetune.max_train_examples or look at the source"
            )


def further(task: str, name: str, tokenization: Tokenization) -> Examples:
    """All of a further set, in order; a label of 0 stands where it is hidden.

    Raises:
        StageError: the set is missing.
    """
    store, indices = _read(task, f"{FURTHER}/{name}", tokenization, None, 0)
    if store.labels is None:
        store = replace(store, labels=np.zeros(len(store), dtype=np.int64))
    return Examples(store, indices, tokenization.max_length, tokenization.pad_id)


def _read(
    task: str, split: str, tokenization: Tokenization, limit: int | None, seed: int
) -> tuple[TokenStore, NDArray[np.int64]]:
    """What was encoded before, and which of it is used; or that alone, encoded now."""
    if tokenization.tokenizer is None:
        store = token_store.read(paths.encoded(task) / split)
        return store, randomness.sample(len(store), limit, seed)
    store = encode_now(paths.task(task) / f"{split}.parquet", tokenization.tokenizer, limit, seed)
    return store, np.arange(len(store))


def encode_now(table: Path, tokenizer: Tokenizer, limit: int | None, seed: int) -> TokenStore:
    """What `load` would use of a set's rows.

    Raises:
        StageError: the table is missing.
    """
    return encode.encode_rows(tokenizer, table, randomness.sample(encode.count(table), limit, seed))
