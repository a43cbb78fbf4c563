"""One recorder for each folder of runs: started by whoever needs it, held to one by a lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from stages import paths

LOCK = "recorder.lock"

POLL, PATIENCE = 0.1, 2.0
"""Seconds between two tries of a new recorder to become the one, and of all of them."""


def start(folder: Path) -> None:
    """Start the recorder of `folder` unless there is one.

    A shell stands between, so that it is nobody's child: who ends a stage with all its descendants leaves it alone.
    """
    with (folder / LOCK).open("a") as lock:
        if not _take(lock):
            return
    search_path = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", "stages.tracking.recorder", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": search_path},
        check=True,
    )


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether the caller is the folder's one recorder; a stage that only asks holds the lock for a moment."""
    deadline = time.monotonic() + PATIENCE
    with (folder / LOCK).open("a") as lock:
        while not (taken := _take(lock)) and time.monotonic() < deadline:
            time.sleep(POLL)
        yield taken


def _take(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
