"""What a pre-training run may read, and what an objective makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages import token_store
from stages.pretrain.sequences import Reader

CORPORA = "corpora"
"""In what was gathered for a run: a folder like that of the corpus for each further corpus."""


@dataclass(frozen=True)
class Material:
    """Where the text lies, and how it is to be cut.

    Attributes:
        packed: folder of the corpus's token stores, ``train`` and ``validation``.
        gathered: folder of what was gathered for this run alone (`stages.gather`).
        sequence_length: tokens a row.
        document_mask: whether texts that share a row are kept from seeing each other.
        seed: of the run.
    """

    packed: Path
    gathered: Path
    sequence_length: int
    document_mask: bool
    seed: int

    def stores(self) -> dict[str, token_store.TokenStore]:
        """The corpus's parts, and what an error calls them.

        Raises:
            StageError: one is missing or damaged.
        """
        return {part: token_store.read(self.packed / part) for part in ("train", "validation")}


@dataclass(frozen=True)
class Corpus:
    """What is learnt from, and what is measured on.

    Attributes:
        train, validation: the same kind of rows of either part.
        bytes_per_token: UTF-8 bytes of the validation text for each of its tokens.
    """

    train: Reader
    validation: Reader
    bytes_per_token: float

    def replaying(self, other: Corpus, share: float) -> Corpus:
        """The same with a share of each batch's training rows from another corpus."""
        return self if not share else replace(self, train=Replay(self.train, other.train, share))


class Replay:
    """Rows of one corpus, of which a share of each batch is replaced by rows of another, drawn anew."""

    def __init__(self, rows: Reader, others: Reader, share: float) -> None:
        self._rows, self._others, self._share = rows, others, share

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: NDArray[np.int64], generator: torch.Generator) -> object:
        """The rows at all but the last of the indices, and as many others as there is no index for."""
        count = round(self._share * len(indices))
        if not count:
            return self._rows.take(indices, generator)
        drawn = torch.randint(len(self._others), (count,), generator=generator).numpy()
        return _joined(self._rows.take(indices[:-count], generator), self._others.take(drawn, generator))


def _joined(rows: Any, others: Any) -> Any:
    """Two batches of one reader as one; what neither tells is not told."""
    pairs = zip(rows, others, strict=True)
    return type(rows)(*(None if first is None else torch.cat([first, second]) for first, second in pairs))
