"""How far a long loop has come: a bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY = 10.0
"""Seconds between two plain lines."""


class Bar(Protocol):
    """What a loop tells of its progress."""

    def advance(self, n: float, **figures: float) -> None:
        """Count `n` more units, and show `figures` (``loss=4.21``) as the latest."""


@contextmanager
def bar(description: str, total: int | None, unit: str) -> Iterator[Bar]:
    """Show the progress of the block's loop.

    Args:
        description: what is being done, `pretrain mlm`.
        total: how many units there are, if that is known.
        unit: what is counted, in the plural: `tokens`.
    """
    kind = _terminal if sys.stderr.isatty() else _lines
    with kind(description, total, unit) as shown:
        yield shown


class PlainBar:
    """A line about every ten seconds, for logs."""

    def __init__(self, description: str, total: int | None, unit: str, stream: TextIO) -> None:
        self._description, self._total, self._unit, self._stream = description, total, unit, stream
        self._done = 0.0
        self._figures: dict[str, float] = {}
        self._started = self._last_line = time.monotonic()

    def advance(self, n: float, **figures: float) -> None:
        self._done += n
        self._figures |= figures
        if time.monotonic() - self._last_line >= LINE_EVERY:
            self.write_line(finished=False)

    def write_line(self, finished: bool) -> None:
        """Write where the loop stands: done, rate, time left (or taken, once finished), figures."""
        self._last_line = time.monotonic()
        seconds = self._last_line - self._started
        rate = self._done / seconds if seconds > 0 else 0.0
        parts = [f"{_count(self._done, self._total)} {self._unit}"]
        if rate >= 1:
            parts.append(f"{rate:,.0f} {self._unit}/s")
        if finished:
            parts.append(f"{clock(seconds)} in all")
        elif self._total is not None and rate:
            parts.append(f"{clock((self._total - self._done) / rate)} left")
        parts += [figure(name, value) for name, value in self._figures.items()]
        print(f"{self._description}: {', '.join(parts)}", file=self._stream, flush=True)


class TerminalBar:
    """One task of a rich progress display."""

    def __init__(self, display: Progress, task: TaskID) -> None:
        self._display, self._task = display, task
        self._figures: dict[str, float] = {}

    def advance(self, n: float, **figures: float) -> None:
        self._figures |= figures
        shown = " ".join(figure(name, value) for name, value in self._figures.items())
        self._display.update(self._task, advance=n, figures=shown)


@contextmanager
def _lines(description: str, total: int | None, unit: str) -> Iterator[Bar]:
    plain = PlainBar(description, total, unit, sys.stderr)
    yield plain
    plain.write_line(finished=True)


@contextmanager
def _terminal(description: str, total: int | None, unit: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Counted(ProgressColumn):
        """Units done of all, and units per second."""

        def render(self, task: Task) -> Text:
            total = None if task.total is None else int(task.total)
            rate = task.finished_speed or task.speed or 0
            return Text(f"{_count(task.completed, total)} {unit}, {rate:,.0f}/s")

    columns = (
        TextColumn("{task.description}"), BarColumn(), Counted(), TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as display:
        yield TerminalBar(display, display.add_task(description, total=total, figures=""))


def _count(done: float, total: int | None) -> str:
    return f"{done:,.0f}" if total is None else f"{done:,.0f}/{total:,}"


def figure(name: str, value: float) -> str:
    """``loss 4.21``: three significant digits, whole numbers in full."""
    return f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.3g}"


def clock(seconds: float) -> str:
    """``1:55`` minutes and seconds, ``2:03:09`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
