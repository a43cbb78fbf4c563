"""One stage from its start to its end: waited for, stopped, tried again."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from flows import processes
from flows.nursery import Job, Nursery
from flows.result import Outcome, Result

POLL = 0.02
"""Seconds between two looks at a child."""

BUSY_PAUSE = 1.0
"""Seconds before a stage is tried again whose files another process holds."""

TRIES = 3
"""How often a stage is started that is killed, or whose disk or network fails; its own error ends it at once."""

TAIL = 20
"""Lines of a failed stage's log that are shown."""


@dataclass(frozen=True)
class Runner:
    """What runs stages.

    Attributes:
        nursery: where they are started.
        stop: once it is set, all of them are ended.
    """

    nursery: Nursery
    stop: Event

    def run(self, job: Job, descriptors: Sequence[int]) -> Outcome:
        """Reproduce a stage; wait while another process holds its files; end it when `stop` is set."""
        started = time.monotonic()
        tries = 1
        while True:
            result = self._run(job, descriptors)
            if result not in (Result.BUSY, Result.LOST) or tries == TRIES or self.stop.is_set():
                break
            tries += result is Result.LOST
            job = replace(job, again=True)
            self.stop.wait(BUSY_PAUSE)
        if result is Result.BUSY or (result is Result.LOST and self.stop.is_set()):
            result = Result.STOPPED
        elif result is Result.LOST:
            result = Result.FAILED
        log = Path(job.log)
        detail = _tail(log) if result is Result.FAILED else ""
        return Outcome(job.stage, result, time.monotonic() - started, log, detail)

    def _run(self, job: Job, descriptors: Sequence[int]) -> Result:
        child = self.nursery.start(job, descriptors)
        while (result := child.poll()) is None:
            if self.stop.wait(POLL):
                processes.end(child.pid)
                return Result.STOPPED
        return result


def log_file(folder: Path, stage: str) -> Path:
    """Where a stage's output goes: its name, with what does not belong in a file name replaced."""
    return folder / (re.sub(r"[^\w@.,=-]", "-", stage) + ".log")


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "killed before it could say anything"
    return "\n".join(text.splitlines()[-TAIL:])
