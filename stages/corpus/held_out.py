"""What a task holds out, and how training text is compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.corpus.fingerprints import Fingerprints, concatenate, fingerprint
from stages.corpus.near import Index
from stages.corpus.rows import Rows


@dataclass(frozen=True)
class RowPrints:
    """Fingerprints of rows as wholes, and of each of their text columns.

    With one text column both are the same. Pairs are compared as wholes within their task, for
    its rows share single texts by design (questions, premises), and text by text with all else.
    """

    wholes: Fingerprints
    columns: list[Fingerprints]

    @classmethod
    def of(cls, rows: Rows) -> RowPrints:
        columns = [fingerprint(column) for column in rows.texts]
        return cls(columns[0] if len(columns) == 1 else fingerprint(rows.joined), columns)

    @classmethod
    def join(cls, parts: Sequence[RowPrints]) -> RowPrints:
        """Those of several batches as those of one."""
        columns = [concatenate(column) for column in zip(*(part.columns for part in parts), strict=True)]
        wholes = columns[0] if len(columns) == 1 else concatenate([part.wholes for part in parts])
        return cls(wholes, columns)

    def select(self, chosen: NDArray[np.bool_]) -> RowPrints:
        """Those of the chosen rows."""
        columns = [column.select(chosen) for column in self.columns]
        return RowPrints(columns[0] if len(columns) == 1 else self.wholes.select(chosen), columns)


class HeldOut:
    """A task's validation and test rows, ready to be searched."""

    def __init__(self, prints: RowPrints, threshold: float) -> None:
        self.texts = Index(concatenate(prints.columns), threshold)
        self.rows = self.texts if len(prints.columns) == 1 else Index(prints.wholes, threshold)


def stands_in(texts: Fingerprints, indexes: Sequence[Index]) -> NDArray[np.bool_]:
    """Which texts are the same, or nearly, as one of any index."""
    found = np.zeros(len(texts), dtype=np.bool_)
    for index in indexes:
        found |= index.same(texts) | index.near(texts)
    return found
