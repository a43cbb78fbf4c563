"""The tables of the page, one file each; a table is text in cells, not yet markdown."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stages.evaluate.schema import NONE
from stages.report.formats import ABSENT


@dataclass(frozen=True)
class Table:
    """`names` of the leading columns hold words and are set left, the others numbers, set right."""

    header: list[str]
    rows: list[list[str]]
    names: int = 1

    @property
    def marked(self) -> Table:
        """The same with a mark behind each number that says where it comes from, for `stages.report.web`."""
        return replace(self, rows=[[_marked(cell) for cell in row] for row in self.rows])


class Traced(str):
    """A number in a cell that says where it comes from.

    Attributes:
        origins: what `python -m flows trace` leads back from: words of cells of ``results.csv``, or stages.
    """

    origins: tuple[str, ...]


def traced(text: str, *origins: str) -> str:
    """`text`, which comes from ``origins``; where there is no number, there is nothing to lead back from."""
    if text in ("", ABSENT):
        return text
    found = Traced(text)
    found.origins = origins
    return found


def cell(objective: str, task: str, method: str, metric: str, compressor: str = NONE) -> str:
    """The words by which a trace finds a cell of ``results.csv``."""
    return f"{task} {method} {objective} {compressor} {metric}"


def _marked(text: str) -> str:
    return f"{text}<!-- trace: {'; '.join(text.origins)} -->" if isinstance(text, Traced) else text
