"""Texts to token stores: the corpus for pre-training, the tasks for fine-tuning. Nothing is cut short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages import progress, token_store
from stages.corpus.tables import TEXT_COLUMNS, count_rows, read_batches
from stages.errors import StageError
from stages.tokenizer.special import SEP_ID

Encoded = Iterator[tuple[list[int], int]]
"""Of each text its token ids and its UTF-8 bytes."""


def pack(tokenizer: Tokenizer, table: Path, folder: Path) -> None:
    """Write a set of the corpus: each text's ids and [SEP], which parts it from the next.

    Raises:
        StageError: the table is missing.
    """
    token_store.write(folder, _corpus(tokenizer, table))


def encode(tokenizer: Tokenizer, table: Path, folder: Path) -> None:
    """Write a set of a task: each row's ids within [CLS] and [SEP], and its label.

    Raises:
        StageError: the table is missing.
    """
    token_store.write(folder, _rows(tokenizer, table), _labels(table))


def _corpus(tokenizer: Tokenizer, table: Path) -> Encoded:
    with progress.bar(f"pack {table.stem}", _count(table), "texts") as bar:
        for batch in read_batches(table, ["text"]):
            texts = batch["text"].to_pylist()
            for text, encoding in zip(texts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
                yield [*encoding.ids, SEP_ID], len(text.encode())
            bar.advance(len(texts))


def _rows(tokenizer: Tokenizer, table: Path) -> Encoded:
    with progress.bar(f"encode {table.parent.name} {table.stem}", _count(table), "rows") as bar:
        for batch in read_batches(table):
            columns = [batch[name].to_pylist() for name in TEXT_COLUMNS if name in batch.schema.names]
            rows = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
            sizes = (sum(len(text.encode()) for text in row) for row in zip(*columns, strict=True))
            for encoding, size in zip(tokenizer.encode_batch_fast(rows), sizes, strict=True):
                yield encoding.ids, size
            bar.advance(len(rows))


def _count(table: Path) -> int:
    if not table.is_file():
        raise StageError(f"{table} is missing: run `dvc repro` to make it")
    return count_rows(table)


def _labels(table: Path) -> NDArray[np.int64] | NDArray[np.float32]:
    _count(table)
    column = pq.read_table(table, columns=["label"])["label"]
    return column.to_numpy().astype(np.float32 if pa.types.is_floating(column.type) else np.int64)
