"""A measured figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of ``reports/speed.csv``; ``ratio`` is that of subject to peer, empty for the peer itself."""

    subject: str
    peer: str
    figure: str
    unit: str
    value: float
    ratio: float | None
