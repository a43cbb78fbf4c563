"""What became of the rows, for the person who asked."""

from __future__ import annotations

import sys

from stages.predict.predictor import Answer
from stages.predict.rows import Bad

SHOWN = 20
"""Bad rows that are listed."""


class Tally:
    """Counts rows that were answered, those of them that were cut to ``max_length`` tokens, and bad ones."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self.answered = self.cut = self.bad = 0
        self._first_cut = 0
        self._first_bad: list[Bad] = []

    def answer(self, number: int, answer: Answer) -> None:
        """Count a row that has one."""
        self.answered += 1
        if answer.is_cut:
            self._first_cut = self._first_cut or number
            self.cut += 1

    def refuse(self, row: Bad) -> None:
        """Count a row that has none."""
        self.bad += 1
        if len(self._first_bad) < SHOWN:
            self._first_bad.append(row)

    def report(self) -> None:
        """Say on stderr which rows are missing, and that texts were cut."""
        lines = [f"rows left out: {self.bad:,}"] if self.bad else []
        lines += [f"  row {row.number}: {row.reason}" for row in self._first_bad]
        if more := self.bad - len(self._first_bad):
            lines.append(f"  and {more:,} more")
        if self.cut:
            first = f"row {self._first_cut}" if self.cut == 1 else f"row {self._first_cut} the first"
            lines.append(f"texts cut to the {self._max_length:,} tokens that the model reads: {self.cut:,} ({first})")
        for line in lines:
            print(line, file=sys.stderr)
