"""Questions and the texts that answer them: a long text is read in windows that overlap.

Each holds the whole question (Devlin et al. 2019, BERT, §4.2, whose code has windows of the same stride).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from stages import paths, token_store
from stages.corpus.tables import TEXT_COLUMNS
from stages.finetune.examples import Batch, Examples
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.training import randomness

STRIDE = 128
"""Tokens that two windows share, or half of what a window has room for, if that is less."""

NOWHERE = (0, 0)
"""Where an answer is sought that a window lacks: at its first token."""


@dataclass(frozen=True)
class Window:
    """A part of one example.

    Attributes:
        owner: the example's number.
        ids: of the question and of the part.
        characters: of each token the characters that it stands for, (tokens, 2); (-1, -1) but for those of the text.
        answer: the tokens at which the first answer that stands there begins and ends; or `NOWHERE`.
    """

    owner: int
    ids: list[int]
    characters: NDArray[np.int64]
    answer: tuple[int, int]


class Windows(Examples):
    """Some examples of one split; batches are of windows.

    Attributes:
        labels: the accepted answers of each example, a JSON list.
    """

    def __init__(
        self, questions: Sequence[str], texts: Sequence[str], labels: Answers, tokenizer: Tokenizer, how: Tokenization
    ) -> None:
        """``labels``: as `stages.corpus.answers.located` gives them."""
        self._texts = texts
        self._windows = [
            window
            for owner, row in enumerate(zip(questions, texts, labels, strict=True))
            for window in _windows(owner, *row, tokenizer, how.max_length)
        ]
        count = len(self._windows)
        store = token_store.collect(((window.ids, 0) for window in self._windows), np.zeros(count, dtype=np.int64))
        super().__init__(store, np.arange(count), how.max_length, how.pad_id)
        self.labels = np.array([_accepted(label) for label in labels], dtype=np.object_)

    def batch(self, places: NDArray[np.int64]) -> Batch:
        ids, real = self.padded(places)
        windows = [self._windows[place] for place in places.tolist()]
        within = torch.full_like(ids, -1)
        for row, window in enumerate(windows):
            within[row, : len(window.ids)] = torch.from_numpy(window.characters[:, 0])
        return Batch(ids, real, torch.tensor([window.answer for window in windows]), within)

    def joined(self, rows: NDArray[np.float32]) -> Answers:
        """The answer to each example: that of the window which is surest, or none if every window is surer of that.

        Args:
            rows: of each window how sure it is of its answer, the first and last token of that, and how sure it is that
                there is none (windows, 4).
        """
        best: list[tuple[float, str]] = [(-np.inf, "")] * len(self.labels)
        silence = np.full(len(self.labels), np.inf)
        for window, (sure, first, last, none) in zip(self._windows, rows.tolist(), strict=True):
            silence[window.owner] = min(silence[window.owner], none)
            if sure > best[window.owner][0]:
                start, end = window.characters[int(first), 0], window.characters[int(last), 1]
                best[window.owner] = sure, self._texts[window.owner][start:end]
        said = [answer if sure > none else "" for (sure, answer), none in zip(best, silence, strict=True)]
        return np.array(said, dtype=np.object_)


def _accepted(label: str) -> str:
    """The answers alone, as `stages.metrics` wants them: a JSON list."""
    return json.dumps([answer for answer, _ in json.loads(label)], ensure_ascii=False)


def _windows(owner: int, question: str, text: str, label: str, tokenizer: Tokenizer, length: int) -> list[Window]:
    asked = len(tokenizer.encode(question, add_special_tokens=False).ids)
    room = max(2, length - asked - tokenizer.num_special_tokens_to_add(True))
    tokenizer.enable_truncation(length, stride=min(STRIDE, room // 2), strategy="only_second")
    try:
        encoding = tokenizer.encode(question, text)
    finally:
        tokenizer.no_truncation()
    return [_window(owner, part, json.loads(label)) for part in (encoding, *encoding.overflowing)]


def _window(owner: int, encoding: Encoding, found: list[tuple[str, int]]) -> Window:
    characters = np.array(encoding.offsets, dtype=np.int64)
    characters[[number != 1 for number in encoding.sequence_ids]] = -1
    places = (_tokens(characters, start, start + len(answer)) for answer, start in found)
    return Window(owner, encoding.ids, characters, next((place for place in places if place), NOWHERE))


def _tokens(characters: NDArray[np.int64], start: int, end: int) -> tuple[int, int] | None:
    """The first and the last token of these characters, if all of them stand here."""
    inside = np.flatnonzero((characters[:, 1] > start) & (characters[:, 0] < end) & (characters[:, 0] >= 0))
    if not len(inside) or characters[inside[0], 0] > start or characters[inside[-1], 1] < end:
        return None
    return int(inside[0]), int(inside[-1])


def load(task: str, split: str, how: Tokenization, limit: int | None = None, seed: int = 0) -> Windows:
    """Examples of a split; at most ``limit``, drawn without replacement.

    Raises:
        StageError: the split is missing.
    """
    table = paths.task(task) / f"{split}.parquet"
    return read(table, how, randomness.sample(encode.count(table), limit, seed))


def read(table: Path, how: Tokenization, rows: NDArray[np.int64] | None = None) -> Windows:
    """Rows of a set, or all of them."""
    taken = pq.read_table(table)
    taken = taken if rows is None else taken.take(rows)
    questions, texts = (taken[name].to_pylist() for name in TEXT_COLUMNS)
    tokenizer = how.tokenizer or tokenizer_files.load(paths.TOKENIZER)
    if "label" not in taken.column_names:
        return unlabelled(questions, texts, tokenizer, how)
    return Windows(questions, texts, np.array(taken["label"].to_pylist(), dtype=np.object_), tokenizer, how)


def unlabelled(questions: Sequence[str], texts: Sequence[str], tokenizer: Tokenizer, how: Tokenization) -> Windows:
    """Questions whose answers are not known."""
    return Windows(questions, texts, np.full(len(texts), "[]", dtype=np.object_), tokenizer, how)
