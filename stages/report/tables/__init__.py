"""The tables of the page, one file each; a table is text in cells, not yet markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """`names` of the leading columns hold words and are set left, the others numbers, set right."""

    header: list[str]
    rows: list[list[str]]
    names: int = 1
