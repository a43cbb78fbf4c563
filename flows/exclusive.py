"""One flow at a time in a workspace, and none before the last stage of an earlier one is gone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.2


@contextmanager
def workspace(root: Path, waiting: Callable[[str], None]) -> Iterator[int]:
    """Hold the workspace in `root`; the lock's descriptor, which is passed on to the stages that the flow starts.

    A flow that is killed leaves stages that go on to their end and record it, and they hold the lock meanwhile.

    Args:
        waiting: told why, once, if there is something to wait for.
    """
    file = root / ".state" / "flow.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        if not taken(descriptor):
            waiting("another flow, or what is left of one, is at work here: waiting until its stages have ended")
            while not taken(descriptor):
                time.sleep(POLL)
        yield descriptor
    finally:
        os.close(descriptor)


def taken(descriptor: int) -> bool:
    """Lock an open file, unless another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
