"""Watching a run: progress for the person at the terminal, curves for the tracking server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from stages import progress, tracking

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
