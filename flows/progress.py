"""What a person sees of a run: live lines on a terminal, plain ones elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flows.result import Outcome, Result

NAMED = 8
"""Stages that a line lists by name."""

STYLES = {Result.RAN: "green", Result.ELSEWHERE: "green", Result.FAILED: "bold red", Result.STOPPED: "yellow"}

LAST_BYTES = 1000
"""How much of a log's end is read to find its last line."""


class Progress:
    """Says when stages start and end, and on a terminal what the running ones say themselves."""

    def __init__(self, total: int, console: Console) -> None:
        self._total, self._console = total, console
        self._ended, self._waits = 0, False
        self._running: dict[str, tuple[float, Path]] = {}

    def started(self, stage: str, log: Path) -> None:
        """A stage has begun."""
        self._waits = False
        self._running[stage] = (time.monotonic(), log)
        if not self._console.is_terminal:
            self._print(f"start  {stage}")

    def waiting(self) -> None:
        """Nothing can begin, for other flows have the devices that it needs; said once."""
        if not self._waits:
            self._print("waiting for other flows on this machine, which have the cores or GPUs it takes", "yellow")
        self._waits = True

    def ended(self, outcome: Outcome) -> None:
        """A stage has ended; a failure shows the end of its log."""
        del self._running[outcome.stage]
        self._ended += 1
        line = f"[{self._ended}/{self._total}]  {outcome.stage}  {outcome.result.value}  {outcome.seconds:.1f} s"
        self._print(line, STYLES.get(outcome.result, "dim"))
        if outcome.result is Result.FAILED:
            self._print(f"{outcome.detail}\nThe whole log: {outcome.log}")

    def skipped(self, stages: Sequence[str]) -> None:
        """These stages were not run, for something that they need failed."""
        if stages:
            more = f" and {len(stages) - NAMED} more" if len(stages) > NAMED else ""
            self._print(f"not run, as what they need failed: {', '.join(stages[:NAMED])}{more}", "yellow")

    def __rich__(self) -> Group:
        """One line for each running stage; called on every refresh of the screen."""
        now = time.monotonic()
        return Group(
            *(
                Text(f"{stage}  {now - since:.0f} s  {_last_line(log)}", overflow="ellipsis", no_wrap=True)
                for stage, (since, log) in list(self._running.items())
            )
        )

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)


@contextmanager
def shown(total: int) -> Iterator[Progress]:
    """Show the progress of `total` stages on stdout while the block runs."""
    console = Console(file=sys.stdout, highlight=False)
    progress = Progress(total, console)
    if not console.is_terminal:
        yield progress
        return
    with Live(progress, console=console, refresh_per_second=4, transient=True):
        yield progress


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")
