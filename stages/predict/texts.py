"""What a row must hold to be predicted, and what the model is given of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.corpus.clean import clean


class Unusable(Exception):
    """A row that no model can read; the message says why."""


def prepare(values: Sequence[Any], columns: Sequence[str]) -> list[str]:
    """A row's texts, cleaned as those were that the model was trained on.

    Raises:
        Unusable: one of them is missing, is no text, or is empty.
    """
    return [_prepare(value, column) for value, column in zip(values, columns, strict=True)]


def _prepare(value: Any, column: str) -> str:
    if value is None:
        raise Unusable(f"{column} is missing")
    if not isinstance(value, str):
        raise Unusable(f"{column} is no text but {str(value)[:40]!r}")
    if not (text := clean(value)):
        raise Unusable(f"{column} is empty")
    return text
