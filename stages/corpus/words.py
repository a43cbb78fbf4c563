"""Texts that come as lists of words: a column of lists is one of texts, the words of each with a space between."""

from __future__ import annotations

import pyarrow as pa


def joined(column: pa.Array) -> list[str | None]:
    """Each row as one string, whatever its type is; a word that holds blanks gives them up."""
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
        return texts
    return [None if row is None else " ".join("".join(str(word).split()) for word in row) for row in column.to_pylist()]
