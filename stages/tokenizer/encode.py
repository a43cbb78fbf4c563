"""Texts to token stores: the corpus for pre-training, the tasks for fine-tuning. What is written is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages import progress, token_store
from stages.corpus.tables import FURTHER, TEXT_COLUMNS, count_rows, read_batches
from stages.errors import StageError
from stages.token_store import Labels, TokenStore
from stages.tokenizer.special import SEP_ID

Encoded = Iterator[tuple[list[int], int]]
"""Of each text its token ids and its UTF-8 bytes."""


def pack(tokenizer: Tokenizer, table: Path, folder: Path) -> None:
    """Write a set of the corpus: each text's ids and [SEP], which parts it from the next.

    Raises:
        StageError: the table is missing.
    """
    token_store.write(folder, _corpus(tokenizer, table))


def sets(task: Path) -> list[str]:
    """The sets of a task, by their paths in its folder: its splits, and its further sets."""
    further = sorted(path.stem for path in (task / FURTHER).glob("*.parquet"))
    return ["train", "validation", "test", *(f"{FURTHER}/{name}" for name in further)]


def encode(tokenizer: Tokenizer, table: Path, folder: Path) -> None:
    """Write a set of a task: each row's ids within [CLS] and [SEP], and its label if that is known.

    Raises:
        StageError: the table is missing.
    """
    token_store.write(folder, _rows(tokenizer, table, np.arange(count(table))), _labels(table))


def encode_rows(tokenizer: Tokenizer, table: Path, rows: NDArray[np.int64]) -> TokenStore:
    """Some rows of a set of a task, ascending, in memory; framed and cut as the tokenizer says.

    Raises:
        StageError: the table is missing.
    """
    labels = _labels(table)
    return token_store.collect(_rows(tokenizer, table, rows), None if labels is None else labels[rows])


def count(table: Path) -> int:
    """Rows of a set.

    Raises:
        StageError: it is missing.
    """
    if not table.is_file():
        raise StageError(f"{table} is missing: run `dvc repro` to make it")
    return count_rows(table)


def _corpus(tokenizer: Tokenizer, table: Path) -> Encoded:
    with progress.bar(f"pack {table.stem}", count(table), "texts") as bar:
        for batch in read_batches(table, ["text"]):
            texts = batch["text"].to_pylist()
            for text, encoding in zip(texts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
                yield [*encoding.ids, SEP_ID], len(text.encode())
            bar.advance(len(texts))


def _rows(tokenizer: Tokenizer, table: Path, rows: NDArray[np.int64]) -> Encoded:
    with progress.bar(f"encode {table.parent.name} {table.stem}", len(rows), "rows") as bar:
        for batch in _among(read_batches(table), rows):
            columns = [batch[name].to_pylist() for name in TEXT_COLUMNS if name in batch.schema.names]
            texts = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
            sizes = (sum(len(text.encode()) for text in row) for row in zip(*columns, strict=True))
            for encoding, size in zip(tokenizer.encode_batch_fast(texts), sizes, strict=True):
                yield encoding.ids, size
            bar.advance(len(texts))


def _among(batches: Iterator[pa.RecordBatch], rows: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """These rows alone, ascending, of all that the batches hold."""
    first = 0
    for batch in batches:
        start, stop = np.searchsorted(rows, [first, first + batch.num_rows])
        yield batch.take(pa.array(rows[start:stop] - first))
        first += batch.num_rows


def _labels(table: Path) -> Labels | None:
    """None where they are hidden, or of words."""
    count(table)
    schema = pq.read_schema(table)
    if "label" not in schema.names or pa.types.is_string(schema.field("label").type):
        return None
    column = pq.read_table(table, columns=["label"])["label"]
    return column.to_numpy().astype(np.float32 if pa.types.is_floating(column.type) else np.int64)
