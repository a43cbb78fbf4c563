"""What of a text is remembered when it has been read: a key for sameness, shingles for likeness.

Both are taken from the text's words, lower-case and without punctuation, so that neither spacing
nor quotation marks make two texts out of one. Both are 64-bit hashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
import xxhash
from numpy.typing import NDArray

SHINGLE_WORDS = 5
PAIR = "\x02"
"""Joins the texts of a pair into one; cleaned text never holds it."""

WORD = re.compile(rf"[^\W_]+|{PAIR}")
ASCII_WORDS = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
ASCII_WORDS[ord(PAIR)] = f" {PAIR} "
"""What `WORD` and lower-casing do, as a table for plain ASCII, where that is three times as fast."""

MULTIPLIERS = np.asarray(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)
"""Odd, so that each keeps the randomness of the word's hash; distinct, so that order counts."""


@dataclass(frozen=True)
class Fingerprints:
    """Of n texts: `keys` (n,), and each text's distinct shingles, ascending, end to end.

    Text i's are `shingles[offsets[i]:offsets[i + 1]]`.
    """

    keys: NDArray[np.uint64]
    shingles: NDArray[np.uint64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> NDArray[np.uint64]:
        return self.shingles[self.offsets[index] : self.offsets[index + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Distinct shingles of each text."""
        return np.diff(self.offsets)

    def select(self, chosen: NDArray[np.bool_]) -> Fingerprints:
        """Those of the chosen texts."""
        sizes = self.sizes
        offsets = np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64)
        return Fingerprints(self.keys[chosen], self.shingles[np.repeat(chosen, sizes)], offsets)


class _Hashes(dict[str, int]):
    """Words' hashes as they are asked for; forgotten when there are too many to hold."""

    LIMIT = 500_000

    def __missing__(self, word: str) -> int:
        if len(self) >= self.LIMIT:
            self.clear()
        self[word] = value = xxhash.xxh3_64_intdigest(word.encode())
        return value


_word_hashes = _Hashes()


def words(text: str) -> list[str]:
    """The words that count: runs of letters and digits, lower-case."""
    return text.translate(ASCII_WORDS).split() if text.isascii() else WORD.findall(text.lower())


def keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each text's letters and digits alone; of the text itself if it has none."""
    return _keys(texts, (words(text) for text in texts))


def exact(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each text, letter for letter."""
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode()) for text in texts), np.uint64, len(texts))


def _keys(texts: Sequence[str], split: Iterable[list[str]]) -> NDArray[np.uint64]:
    return exact(["".join(each) or text for text, each in zip(texts, split, strict=True)])


def fingerprint(texts: Sequence[str]) -> Fingerprints:
    """Keys and shingles. A text of fewer than five words is one shingle as a whole."""
    split = [words(text) for text in texts]
    shingles = _rolling(np.fromiter(map(_word_hashes.__getitem__, chain.from_iterable(split)), np.uint64))
    starts = accumulate(map(len, split), initial=0)
    own = [
        np.unique(shingles[start : start + len(each) - SHINGLE_WORDS + 1])
        if len(each) >= SHINGLE_WORDS
        else keys([" ".join(each) or text])
        for start, each, text in zip(starts, split, texts, strict=False)
    ]
    return Fingerprints(_keys(texts, split), *join(own))


def _rolling(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of every five words in a row, one hash."""
    count = max(len(hashes) - SHINGLE_WORDS + 1, 0)
    rolling = np.zeros(count, dtype=np.uint64)
    for position, multiplier in enumerate(MULTIPLIERS):
        rolling += hashes[position : position + count] * multiplier
    return rolling


def join(arrays: Sequence[NDArray[np.uint64]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Arrays end to end, and where each begins and ends."""
    offsets = np.fromiter(accumulate(map(len, arrays), initial=0), dtype=np.int64)
    return (np.concatenate(arrays) if arrays else np.empty(0, dtype=np.uint64)), offsets


def concatenate(parts: Sequence[Fingerprints]) -> Fingerprints:
    """The fingerprints of several batches of texts as those of one."""
    sizes = np.concatenate([part.sizes for part in parts]) if parts else np.empty(0, dtype=np.int64)
    text_keys, _ = join([part.keys for part in parts])
    shingles, _ = join([part.shingles for part in parts])
    return Fingerprints(text_keys, shingles, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
