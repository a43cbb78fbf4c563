"""Texts that come as lists of words: a column of lists is one of texts, the words of each with a space between."""

from __future__ import annotations

import pyarrow as pa

from stages.errors import StageError


def joined(column: pa.Array) -> list[str | None]:
    """Each row as one string, whatever its type is; a word that holds blanks gives them up.

    Raises:
        StageError: it is of a type that has no text, or of bytes that are not UTF-8.
    """
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        try:
            texts: list[str | None] = column.cast(pa.string()).to_pylist()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise StageError(
                f"a column of type {column.type} is no text ({error}): name another in params.yaml, or convert it"
            ) from None
        return texts
    return [None if row is None else " ".join("".join(str(word).split()) for word in row) for row in column.to_pylist()]
