"""Accepted answers to questions, and where they stand in the text that holds them.

A label may be SQuAD's (Rajpurkar et al. 2016): ``{"text": [...], "answer_start": [...]}``, as a struct or in JSON; or a
plain string, which is then looked for. Cleaning moves what follows, so each answer is found again, nearest to where it
was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stages.corpus.clean import clean
from stages.errors import StageError
from stages.metrics.base import Answers


def located(column: pa.Array, raw: Sequence[str], cleaned: Sequence[str]) -> Answers:
    """Each row's answers as JSON: a list of [answer, first character]; empty where the question has none.

    Args:
        raw, cleaned: the texts that hold them, as they were fetched and as models see them.

    Raises:
        StageError: an answer does not stand in its text.
    """
    rows = zip(column.to_pylist(), raw, cleaned, strict=True)
    return np.array([json.dumps(_located(*row), ensure_ascii=False) for row in rows], dtype=np.object_)


def are_hidden(column: pa.Array) -> bool:
    """Whether there is no label at all; no answer is one."""
    return column.null_count == len(column)


def _located(value: Any, raw: str, cleaned: str) -> list[tuple[str, int]]:
    return list(dict.fromkeys(_find(clean(answer), start, raw, cleaned) for answer, start in _given(value)))


def _given(value: Any) -> list[tuple[str, int | None]]:
    """Answers, and where they stood if that is told."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise StageError(f"an answer is not JSON ({error}): {value[:60]!r}") from None
    if isinstance(value, dict) and _is_squad(value.get("text"), value.get("answer_start")):
        return list(zip(value["text"], value["answer_start"], strict=True))
    if value is None or isinstance(value, str):
        return [(value, None)] if value else []
    raise StageError(f"{str(value)[:60]!r} is no answer: give a text, or `text` and `answer_start` as SQuAD has them")


def _is_squad(texts: Any, starts: Any) -> bool:
    """Whether these are lists of texts and of as many numbers."""
    if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
        return False
    return all(isinstance(text, str) for text in texts) and all(isinstance(start, int) for start in starts)


def _find(answer: str, start: int | None, raw: str, cleaned: str) -> tuple[str, int]:
    expected = 0 if start is None else len(clean(raw[:start]))
    places = [place for place in range(len(cleaned)) if cleaned.startswith(answer, place)] if answer else []
    if not places:
        raise StageError(f"the answer {answer[:60]!r} does not stand in its text: {cleaned[:60]!r}")
    return answer, min(places, key=lambda place: abs(place - expected))
