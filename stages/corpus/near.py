"""Finding texts that are the same, or nearly so, as one of a set of held-out texts.

The search is exact, where MinHash would miss some pairs and would hash every text a hundred times.
Two sets of shingles whose Jaccard similarity is at least t share at least t * n elements, n being
the size of either. So if all sets are sorted in one order, the first n - ceil(t * n) + 1 elements of
both must have one in common (the prefix filter of Chaudhuri et al. 2006, Bayardo et al. 2007). Only
texts that do are compared. Sorted are the shingles' hashes: an order that is random, and the same
for every text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.corpus.fingerprints import Fingerprints

ROUNDING = 1e-9
"""Subtracted from t * n, so that 0.8 times 35 is not taken for more than 28."""


class Index:
    """Held-out texts, ready to be searched."""

    def __init__(self, held_out: Fingerprints, threshold: float) -> None:
        self._held_out, self._threshold = held_out, threshold
        self._keys = np.unique(held_out.keys)
        shingles, texts = prefixes(held_out, threshold)
        order = np.argsort(shingles, kind="stable")
        self._texts = texts[order]
        self._shingles, starts = np.unique(shingles[order], return_index=True)
        self._starts = np.append(starts, len(order))

    def same(self, texts: Fingerprints) -> NDArray[np.bool_]:
        """Which of the texts stand in the index, up to case, punctuation and blanks."""
        return np.isin(texts.keys, self._keys)

    def near(self, texts: Fingerprints) -> NDArray[np.bool_]:
        """Which of the texts have a Jaccard similarity of at least the threshold to one in the index."""
        found = np.zeros(len(texts), dtype=np.bool_)
        for text, candidate in self._candidates(texts):
            if not found[text]:
                found[text] = jaccard(texts[text], self._held_out[candidate]) >= self._threshold - ROUNDING
        return found

    def _candidates(self, texts: Fingerprints) -> list[tuple[int, int]]:
        """Pairs (text, held-out text) that share an element of their prefixes, and are of like size."""
        if not len(self._shingles):
            return []
        shingles, owners = prefixes(texts, self._threshold)
        at = np.minimum(np.searchsorted(self._shingles, shingles), len(self._shingles) - 1)
        hits = self._shingles[at] == shingles
        first, counts = self._starts[at[hits]], (self._starts[at + 1] - self._starts[at])[hits]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        left, right = np.repeat(owners[hits], counts), self._texts[np.repeat(first, counts) + within]
        small, large = _sorted(texts.sizes[left], self._held_out.sizes[right])
        like = small >= large * self._threshold - ROUNDING
        pairs = np.unique(np.stack([left[like], right[like]], axis=1), axis=0)
        return [(int(text), int(candidate)) for text, candidate in pairs]


def prefixes(texts: Fingerprints, threshold: float) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The shingles of all texts' prefixes, and the text that each belongs to."""
    sizes = texts.sizes
    lengths = sizes - np.ceil(sizes * threshold - ROUNDING).astype(np.int64) + 1
    lengths = np.minimum(lengths, sizes)
    owners = np.repeat(np.arange(len(texts)), sizes)
    rank = np.arange(len(texts.shingles)) - texts.offsets[owners]
    chosen = rank < lengths[owners]
    return texts.shingles[chosen], owners[chosen]


def jaccard(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    """Common elements as a share of all elements of two sets."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)


def _sorted(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.minimum(left, right), np.maximum(left, right)
