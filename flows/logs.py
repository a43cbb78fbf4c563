"""What a stage prints, on its way from its file to Prefect, while it runs: little enough to cost nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PAUSE = 2.0
"""Seconds between two looks at a file."""

LINES = 100
"""Lines that are passed on of what one look finds: a half from its beginning and a half from its end."""

BYTES = 1 << 20
"""What one look reads at most, the end of what there is."""

Hear = Callable[[str], None]


def unheard(_: str) -> None:
    """Nobody wants to know."""


class Follower:
    """Follows one file from its beginning."""

    def __init__(self, file: Path, hear: Hear) -> None:
        """Pass on to `hear` what is written to `file`."""
        self._file, self._hear = file, hear
        self._offset = 0
        self._due = time.monotonic() + PAUSE

    def look(self, *, last: bool = False) -> None:
        """Pass on whole lines that are new, if it is time; the `last` look is never too early, and takes all."""
        if not last and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + PAUSE
        if text := _shortened(self._read(last), self._file):
            self._hear(text)

    def _read(self, last: bool) -> str:
        try:
            with self._file.open("rb") as file:
                start = file.seek(max(self._offset, file.seek(0, os.SEEK_END) - BYTES))
                new = file.read()
        except FileNotFoundError:
            return ""
        if not last:
            new = new[: new.rfind(b"\n") + 1]
        self._offset = start + len(new)
        return new.decode(errors="replace")


def _shortened(text: str, file: Path) -> str:
    """`text` without blank lines, what a carriage return has wiped out, and, if it is long, its middle."""
    lines = [line for written in text.split("\n") if (line := written.rstrip("\r").rpartition("\r")[2].rstrip())]
    if left_out := max(0, len(lines) - LINES):
        half = LINES // 2
        lines = [*lines[:half], f"… {left_out} more lines in {file} …", *lines[-half:]]
    return "\n".join(lines)
