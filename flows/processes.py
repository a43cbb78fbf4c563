"""Ending processes together with all that they have started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

GRACE = ((signal.SIGINT, 2.0), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.5))
"""How a stage is stopped, and the seconds each signal has: first as Ctrl-C does, so that it cleans up."""


def end(*pids: int) -> None:
    """End processes and all that they have started, also what has left their groups."""
    family = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            family.append(psutil.Process(pid))
    for number, patience in GRACE:
        family = _with_descendants(family)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, family = psutil.wait_procs(family, timeout=patience)


def end_session(leader: int) -> None:
    """Kill what is left of a session whose leader is gone: nobody waits for its work any more."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()


def is_alive(pid: int) -> bool:
    """Whether a process is at work; one that has ended but was not collected is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _with_descendants(family: list[psutil.Process]) -> list[psutil.Process]:
    found = {process.pid: process for process in family}
    for process in family:
        with suppress(psutil.NoSuchProcess):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())
