"""Reading the texts of a set, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stages.corpus.tables import read_batches

Texts = Callable[[], Iterator[list[str]]]
"""Begins to read a set of texts; some algorithms read it more than once."""


def texts_of(path: Path) -> Texts:
    """The column `text` of a parquet file.

    Raises:
        StageError: on reading, if the file is missing or damaged.
    """
    return lambda: (batch["text"].to_pylist() for batch in read_batches(path, ["text"]))
