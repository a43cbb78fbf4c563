"""Labels as the source writes them, to labels as models use them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from stages.corpus import words
from stages.corpus.clean import clean
from stages.errors import StageError
from stages.metrics.base import Answers
from stages.params import Source

HIDDEN = {"-1", "-1.0", "", None}


def parse(column: pa.Array, source: Source) -> Answers:
    """Each row's class, or its score, or the names of its words' classes with spaces between, or its text.

    Classes are exact as floats; they and scores share a type so.

    Raises:
        StageError: a label is neither a known name nor an index into the names, or not a number.
    """
    values = words.joined(column)
    if source.target:
        return np.array([clean(value or "") for value in values], dtype=np.object_)
    if source.tags:
        return np.array([_tags(value, _Classes(source.labels)) for value in values], dtype=np.object_)
    convert = _score if source.score else _Classes(source.labels)
    return np.fromiter((convert(value) for value in values), dtype=np.float64, count=len(values))


def are_hidden(column: pa.Array) -> bool:
    """Whether there is no label at all: each is -1, as in sets whose answers a leaderboard keeps, or nothing."""
    return {part for value in words.joined(column) for part in (value or "").split() or [""]} <= HIDDEN


def arrow_type(source: Source) -> pa.DataType:
    """How labels are stored: int64 classes, float32 scores; all else as strings."""
    is_text = source.tags or source.answers or source.target
    return pa.string() if is_text else pa.float32() if source.score else pa.int64()


def _score(value: str | None) -> float:
    try:
        score = float(value or "")
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise StageError(f"{value!r} is not a number: `score: true` needs one in every row")
    return score


def _tags(value: str | None, classes: _Classes) -> str:
    return " ".join(classes.name(tag) for tag in (value or "").split())


class _Classes:
    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._index = {str(index): index for index in range(len(names))} | {
            name: index for index, name in enumerate(names)
        }

    def __call__(self, value: str | None) -> int:
        if value not in self._index:
            raise StageError(
                f"label {value!r} is not among {', '.join(self._names)}, nor an index into them: "
                f"correct `labels` in params.yaml, or leave such rows out by `where`"
            )
        return self._index[value]

    def name(self, value: str) -> str:
        """The class's name, whichever of its two is given."""
        return self._names[self(value)]
