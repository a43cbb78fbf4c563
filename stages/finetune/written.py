"""Texts, and those that are to be written in answer: source and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages import paths, token_store
from stages.finetune.examples import Batch, Examples
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.token_store import TokenStore
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.special import SEP_ID
from stages.training import randomness

IGNORED = -100
"""The label of what stands behind the end of a target."""


class Written(Examples):
    """Some examples of one split.

    Attributes:
        labels: the texts that are to be written.
    """

    def __init__(self, store: TokenStore, targets: Answers, tokenizer: Tokenizer, how: Tokenization, room: int) -> None:
        """``room``: tokens of a target, the [SEP] that ends it among them; longer ones are cut for training."""
        blank = replace(store, labels=np.zeros(len(store), dtype=np.int64))
        super().__init__(blank, np.arange(len(store)), how.max_length, how.pad_id)
        self.labels, self._tokenizer = targets, tokenizer
        encodings = tokenizer.encode_batch_fast(list(targets), add_special_tokens=False)
        self._targets = [[*encoding.ids[: room - 1], SEP_ID] for encoding in encodings]

    def batch(self, places: NDArray[np.int64]) -> Batch:
        targets = [torch.tensor(self._targets[place]) for place in places.tolist()]
        return Batch(*self.padded(places), torch.nn.utils.rnn.pad_sequence(targets, True, IGNORED))

    def weight(self, places: NDArray[np.int64]) -> int:
        return sum(len(self._targets[place]) for place in places.tolist())

    def joined(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Token ids as text."""
        return np.array(self._tokenizer.decode_batch(rows.tolist()), dtype=np.object_)


def load(task: str, split: str, how: Tokenization, room: int, limit: int | None = None, seed: int = 0) -> Written:
    """Examples of a split; at most ``limit``, drawn without replacement.

    Raises:
        StageError: the split is missing.
    """
    table = paths.task(task) / f"{split}.parquet"
    return read(table, how, room, randomness.sample(encode.count(table), limit, seed))


def read(table: Path, how: Tokenization, room: int, rows: NDArray[np.int64] | None = None) -> Written:
    """Rows of a set, or all of them."""
    chosen = np.arange(encode.count(table)) if rows is None else rows
    tokenizer = how.tokenizer or tokenizer_files.load(paths.TOKENIZER)
    store = encode.encode_rows(tokenizer, table, chosen)
    known = "label" in pq.read_schema(table).names
    texts = pq.read_table(table, columns=["label"])["label"].take(chosen).to_pylist() if known else [""] * len(chosen)
    return Written(store, np.array(texts, dtype=np.object_), tokenizer, how, room)


def unlabelled(rows: Sequence[Sequence[str]], tokenizer: Tokenizer, how: Tokenization, room: int) -> Written:
    """Texts of which it is not known what is to be written."""
    encodings = tokenizer.encode_batch_fast([row[0] if len(row) == 1 else tuple(row) for row in rows])
    store = token_store.collect(((one.ids, 0) for one in encodings), np.zeros(len(rows), dtype=np.int64))
    return Written(store, np.full(len(rows), "", dtype=np.object_), tokenizer, how, room)
