"""One stage from its start to its end: waited for, stopped, tried again."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from flows import processes
from flows.logs import Follower, Hear, unheard
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

    def run(self, job: Job, descriptors: Sequence[int], hear: Hear = unheard) -> Outcome:
        """Do the job; wait while another process holds the stage's files; end it when `stop` is set.

        Args:
            hear: told what the stage prints, as it does.
        """
        started = time.monotonic()
        log = Path(job.log)
        if not job.again:
            log.unlink(missing_ok=True)  # what an earlier run has printed is not to be heard
        follower = Follower(log, hear)
        tries = 1
        while True:
            result = self.once(job, descriptors, follower)
            if result not in (Result.BUSY, Result.LOST) or tries == TRIES or self.stop.is_set():
                break
            tries += result is Result.LOST
            job = replace(job, again=True)
            self.stop.wait(BUSY_PAUSE)
        if result is Result.BUSY or (result is Result.LOST and self.stop.is_set()):
            result = Result.STOPPED
        elif result is Result.LOST:
            result = Result.FAILED
        follower.look(last=True)
        detail = tail(log) if result is Result.FAILED else ""
        return Outcome(job.stage, result, time.monotonic() - started, log, detail)

    def once(self, job: Job, descriptors: Sequence[int], follower: Follower) -> Result:
        """Do the job, and end it when `stop` is set, or if an exception falls in here."""
        child = self.nursery.start(job, descriptors)
        try:
            while (result := child.poll()) is None and not self.stop.wait(POLL):
                follower.look()
        finally:
            if result is None:
                processes.end(child.pid)
        return result or Result.STOPPED


def log_file(folder: Path, stage: str) -> Path:
    """Where a stage's output goes: its name, with what does not belong in a file name replaced."""
    return folder / (re.sub(r"[^\w@.,=-]", "-", stage) + ".log")


def tail(log: Path) -> str:
    """The end of a log, for a person to see what went wrong."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "killed before it could say anything"
    return "\n".join(text.splitlines()[-TAIL:])
