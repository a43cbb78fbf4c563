"""Examples of which every word has a label; a model reads pieces of words, and answers at the first of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from stages import paths, token_store
from stages.finetune.examples import Batch, Examples
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.tokenizer import encode
from stages.tokenizer import files as tokenizer_files
from stages.training import randomness

IGNORED, OUTSIDE = -100, "O"
"""The label of what is no first piece of a word, and the tag of a word that is part of nothing."""


class TaggedExamples(Examples):
    """Some examples of one split, cut and padded as all are.

    Attributes:
        labels: the tags of each example's words, with spaces between; also of words that are cut off.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tags: Answers,
        tokenizer: Tokenizer,
        names: Sequence[str],
        tokenization: Tokenization,
    ) -> None:
        """``tags``: one a word of each text; ``names``: all tags that there are."""
        encodings = [tokenizer.encode(text) for text in texts]
        sizes = (len(text.encode()) for text in texts)
        store = token_store.collect(
            zip((one.ids for one in encodings), sizes, strict=True), np.zeros(len(texts), dtype=np.int64)
        )
        super().__init__(store, np.arange(len(texts)), tokenization.max_length, tokenization.pad_id)
        self.labels = tags
        self._words = [first_pieces(one, text) for one, text in zip(encodings, texts, strict=True)]
        index = {name: number for number, name in enumerate(names)}
        self._tags = [np.array([index[tag] for tag in row.split()], dtype=np.int64) for row in tags]

    def batch(self, places: NDArray[np.int64]) -> Batch:
        ids, real = self.padded(places)
        words, labels = (np.full(ids.shape, blank, dtype=np.int64) for blank in (-1, IGNORED))
        for row, place in enumerate(places.tolist()):
            cut = self._cut_words(place)
            words[row, : len(cut)] = cut
            labels[row, : len(cut)][cut >= 0] = self._tags[place][cut[cut >= 0]]
        counts = tuple(len(self._tags[place]) for place in places.tolist())
        return Batch(ids, real, torch.from_numpy(labels), torch.from_numpy(words), counts)

    def _cut_words(self, place: int) -> NDArray[np.int64]:
        """As `_cut` cuts tokens: the last one that is left is [SEP]."""
        words, length = self._words[place], self.lengths[place]
        return words if len(words) <= length else np.append(words[: length - 1], -1)


def first_pieces(encoding: Encoding, text: str) -> NDArray[np.int64]:
    """Of each token the number of the word that it begins, or -1; words are what stands between blanks."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    numbers = np.full(len(encoding.ids), -1, dtype=np.int64)
    seen: set[int] = set()
    for token, (special, (start, end)) in enumerate(zip(encoding.special_tokens_mask, encoding.offsets, strict=True)):
        word = int(np.searchsorted(starts, end - 1, side="right")) - 1
        if not special and end > start and text[start:end].strip() and word not in seen:
            seen.add(word)
            numbers[token] = word
    return numbers


def load(
    task: str, split: str, tokenization: Tokenization, names: Sequence[str], limit: int | None = None, seed: int = 0
) -> TaggedExamples:
    """Examples of a split; at most ``limit``, drawn without replacement.

    Raises:
        StageError: the split is missing.
    """
    table = paths.task(task) / f"{split}.parquet"
    return read(table, tokenization, names, randomness.sample(encode.count(table), limit, seed))


def read(
    table: Path, tokenization: Tokenization, names: Sequence[str], rows: NDArray[np.int64] | None = None
) -> TaggedExamples:
    """Rows of a set, or all of them; where labels are hidden, every word stands outside."""
    taken = pq.read_table(table)
    taken = taken if rows is None else taken.take(rows)
    texts, tokenizer = taken["text"].to_pylist(), tokenization.tokenizer or tokenizer_files.load(paths.TOKENIZER)
    if "label" not in taken.column_names:
        return unlabelled(texts, tokenizer, names, tokenization)
    tags = np.array(taken["label"].to_pylist(), dtype=np.object_)
    return TaggedExamples(texts, tags, tokenizer, names, tokenization)


def unlabelled(
    texts: Sequence[str], tokenizer: Tokenizer, names: Sequence[str], tokenization: Tokenization
) -> TaggedExamples:
    """Texts whose tags are not known: every word stands outside."""
    tags = np.array([" ".join([OUTSIDE] * len(text.split())) for text in texts], dtype=np.object_)
    return TaggedExamples(texts, tags, tokenizer, names, tokenization)
