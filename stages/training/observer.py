"""Watching a run: progress for the person at the terminal, curves for the tracking server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from stages import progress, tracking
from stages.training.loop import Observer

LOG_SECONDS = 2.0
"""Between two training losses sent to tracking; held-out figures are always sent."""


class TrackedProgress:
    """An `Observer` that feeds a progress bar and a tracked run."""

    def __init__(self, bar: progress.Bar, run: tracking.Run) -> None:
        self._bar, self._run = bar, run
        self._last, self._tokens = time.monotonic(), 0

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Advance the bar; now and then log loss and speed."""
        self._bar.advance(tokens, loss=loss)
        self._tokens += tokens
        elapsed = time.monotonic() - self._last
        if elapsed >= LOG_SECONDS:
            self._run.log({"train.loss": loss, "tokens_per_second": self._tokens / elapsed}, step=step)
            self._last, self._tokens = time.monotonic(), 0

    def evaluated(self, row: dict[str, float]) -> None:
        """Log the held-out figures."""
        figures = {f"validation.{name}": value for name, value in row.items() if name not in ("step", "tokens")}
        self._run.log({**figures, "tokens": row["tokens"]}, step=int(row["step"]))


class Onward:
    """An `Observer` of a later phase of a run, which counts on from what those before have spent.

    ``spent``: the columns of a curve that count on, with how far they have come.
    """

    def __init__(self, observer: Observer, spent: Mapping[str, float]) -> None:
        self._observer, self._spent = observer, spent

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Tell of a step by its place in the run."""
        self._observer.step(step + int(self._spent["step"]), tokens, loss)

    def evaluated(self, row: dict[str, float]) -> None:
        """Tell of a row as it stands in the run's curve."""
        self._observer.evaluated(onward(row, self._spent))


def onward(row: Mapping[str, float], spent: Mapping[str, float]) -> dict[str, float]:
    """A row of a phase's curve in that of the run."""
    return {**row, **{name: row[name] + before for name, before in spent.items()}}


class Unwatched:
    """An `Observer` of a process that another one reports for."""

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Nobody wants to know."""

    def evaluated(self, row: dict[str, float]) -> None:
        """Nobody wants to know."""


@contextmanager
def watching(description: str, total: int | None, run: tracking.Run) -> Iterator[TrackedProgress]:
    """Show and log the training of the block, ``total`` tokens long if that is known."""
    with progress.bar(description, total, "tokens") as bar:
        yield TrackedProgress(bar, run)
