"""Rows of two segments (Devlin et al. 2019, BERT, §3.1 and A.2), and whether the second follows the first.

A document is cut into as few chunks as fit into rows, all about equally long, and a chunk in two at a place drawn anew
each time. BERT ends segments where sentences end; tokens do here, for not every corpus has sentences. It tells the
segments apart by embeddings of their own besides, which ModernBERT has not: that [SEP] stands between them must do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.errors import StageError
from stages.token_store import Ids, TokenStore
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID

FRAME = 3
"""Tokens of a row that are no text: [CLS] before the first segment, [SEP] behind either."""

FOLLOWS, WRONG = 0, 1
"""The labels, as transformers has them."""

Segment = Ids


class SegmentPairs(NamedTuple):
    """A batch of rows [CLS] A [SEP] B [SEP], padded.

    Attributes:
        input_ids: (batch, length), int64.
        labels: `FOLLOWS` or `WRONG` (batch,), int64.
    """

    input_ids: Tensor
    labels: Tensor

    @property
    def attention_mask(self) -> Tensor:
        """Which tokens are no padding (batch, length), bool."""
        return self.input_ids != PAD_ID


class Chunks:
    """A corpus in pieces that fill at least half of a row each; shorter documents are left out."""

    def __init__(self, store: TokenStore, size: int, key: str) -> None:
        """
        Args:
            store: the packed corpus; each text ends in [SEP].
            size: tokens of text that a row holds.
            key: what the store is called in an error.

        Raises:
            StageError: fewer than two documents are long enough.
        """
        least, texts = -(-size // 2), store.lengths - 1
        long_enough = np.flatnonzero(texts >= least)
        if len(long_enough) < 2:
            raise StageError(
                f"{key}: {len(long_enough)} of its documents have the {least} tokens that fill half a sequence, and "
                "pairs of segments need two: add sources to data.sources or lower pretrain.sequence_length"
            )
        self._tokens = store.tokens
        documents = long_enough[np.argsort(texts[long_enough], kind="stable")]
        self._starts, self._lengths = store.offsets[documents], texts[documents]
        pieces = -(-self._lengths // size)
        self._document = np.repeat(np.arange(len(documents)), pieces)
        self._piece = np.arange(len(self._document)) - np.repeat(pieces.cumsum() - pieces, pieces)
        self._pieces = pieces

    def __len__(self) -> int:
        return len(self._document)

    def cut(self, index: int, generator: torch.Generator) -> tuple[Segment, Segment]:
        """Two segments that follow each other and together are a chunk.

        Every cut is as likely, but for those that leave a segment longer than any text of another document: then
        lengths would tell a pair that follows from one that does not.
        """
        document, piece = self._document[index], self._piece[index]
        start, length, pieces = self._starts[document], self._lengths[document], self._pieces[document]
        first, last = (int(start + place * length // pieces) for place in (piece, piece + 1))
        longest = min(last - first - 1, int(self._lengths[-2]))
        middle = last - _draw(last - first - longest, longest + 1, generator)
        return self._tokens[first:middle], self._tokens[middle:last]

    def elsewhere(self, index: int, tokens: int, generator: torch.Generator) -> Segment:
        """As many tokens from any place of any other document that has them, all documents as likely."""
        document = int(self._document[index])
        other = _draw(int(np.searchsorted(self._lengths, tokens)), len(self._lengths) - 1, generator)
        other += other >= document
        start = int(self._starts[other]) + _draw(0, int(self._lengths[other]) - tokens + 1, generator)
        return self._tokens[start : start + tokens]


Spoil = Callable[[Chunks, int, Segment, Segment, torch.Generator], tuple[Segment, Segment]]
"""What makes a wrong pair of the two segments of a chunk."""


def foreign(
    chunks: Chunks, index: int, first: Segment, second: Segment, generator: torch.Generator
) -> tuple[Segment, Segment]:
    """In place of the second segment another document's, of the same length (BERT, §3.1)."""
    return first, chunks.elsewhere(index, len(second), generator)


def swapped(
    chunks: Chunks, index: int, first: Segment, second: Segment, generator: torch.Generator
) -> tuple[Segment, Segment]:
    """The second segment before the first (Lan et al. 2020, ALBERT, §3.1)."""
    return second, first


class SegmentReader:
    """The chunks of a corpus as rows, of which half are wrong pairs; an epoch comes to each chunk once."""

    def __init__(self, store: TokenStore, length: int, key: str, spoil: Spoil) -> None:
        """
        Args:
            store: the packed corpus; each text ends in [SEP].
            length: of a row.
            key: what the store is called in an error.
            spoil: what makes a wrong pair.

        Raises:
            StageError: fewer than two documents are long enough.
        """
        self._length, self._spoil = length, spoil
        self._chunks = Chunks(store, length - FRAME, key)

    def __len__(self) -> int:
        return len(self._chunks)

    def take(self, indices: NDArray[np.int64], generator: torch.Generator) -> SegmentPairs:
        """Chunks by index; where each is cut and which are wrong is drawn."""
        labels = balanced(len(indices), generator)
        input_ids = torch.full((len(indices), self._length), PAD_ID)
        for row, index, label in zip(input_ids, indices.tolist(), labels.tolist(), strict=True):
            first, second = self._chunks.cut(index, generator)
            if label == WRONG:
                first, second = self._spoil(self._chunks, index, first, second, generator)
            ids = np.concatenate([[CLS_ID], first, [SEP_ID], second, [SEP_ID]])
            row[: len(ids)] = torch.from_numpy(ids)
        return SegmentPairs(input_ids, labels)


def balanced(rows: int, generator: torch.Generator) -> Tensor:
    """Labels of which exactly half are wrong; if odd, the one left over is either."""
    order, offset = torch.randperm(rows, generator=generator), torch.randint(2, (1,), generator=generator)
    return (order + offset) % 2


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))
