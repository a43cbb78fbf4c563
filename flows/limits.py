"""How long a stage's command may take, and how much memory: one that takes more is ended, with a reason."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psutil

from flows import processes

POLL = 0.25
"""Seconds between two looks at a command."""


class Limits(threading.Thread):
    """A watch over all that this process has started, in a thread beside it: it stands if the flow is killed."""

    def __init__(self, memory: int | None, seconds: float | None) -> None:
        super().__init__(daemon=True)
        self._memory, self._seconds = memory, seconds
        self._since = time.monotonic()
        self._done = threading.Event()
        self.exceeded = ""
        """Why the command was ended; empty if it was not."""

    def __enter__(self) -> Limits:
        if self._memory or self._seconds:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def run(self) -> None:
        """Look until the command has ended or must be."""
        while not self._done.wait(POLL):
            children = psutil.Process().children(recursive=True)
            if reason := self._reason(children):
                self.exceeded = f"{reason}: see `resources` in params.yaml"
                processes.end(*(child.pid for child in children))
                return

    def _reason(self, children: list[psutil.Process]) -> str:
        if self._seconds and time.monotonic() > self._since + self._seconds:
            return f"it took longer than the {self._seconds / 60:g} minutes that it may take"
        if self._memory and sum(map(_memory, children)) > self._memory:
            return f"it took more than the {self._memory / 1e9:g} GB of memory that it may take"
        return ""


def _memory(process: psutil.Process) -> int:
    """Bytes in use; what processes share is divided among them where the system can tell."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        used = process.memory_full_info()
        return int(getattr(used, "pss", used.uss))
    return 0
