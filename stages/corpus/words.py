"""Texts that come as lists of words: a column of lists is one of texts, the words of each with a space between."""

from __future__ import annotations

import pyarrow as pa

from stages.errors import StageError


def joined(column: pa.Array) -> list[str | None]:
    """Each row as one string, whatever its type is; a word that holds blanks gives them up, a missing one is empty.

    Raises:
        StageError: it is of a type that has no text, or its text is not UTF-8.
    """
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        texts: list[str | None] = _cast(column, pa.string()).to_pylist()
        return texts
    rows = _cast(column, pa.list_(pa.string())).to_pylist()
    return [None if row is None else " ".join("".join((word or "").split()) for word in row) for row in rows]


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as one of strings, or of lists of them; a column that says it is one need not hold UTF-8."""
    try:
        found = column.cast(kind)
        found.validate(full=True)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise StageError(
            f"a column of type {column.type} is no text ({error}): name another in params.yaml, or convert it"
        ) from None
    return found
