"""One stage as a child process: `dvc repro` of this stage alone, in its own session, logging to a file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event

import psutil

POLL = 0.05
"""Seconds between two looks at a child."""

BUSY_PAUSE = 1.0
"""Seconds before a stage is tried again whose files another process holds."""

GRACE = ((signal.SIGINT, 2.0), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.5))
"""How a stage is stopped, and the seconds each signal has: first as Ctrl-C does, so that it cleans up."""

STOPPED = -1000
"""Stands for the exit code of a child that was stopped; no process ends with it."""

TAIL = 20
"""Lines of a failed stage's log that are shown."""


class Result(Enum):
    """How a stage ended."""

    RAN = "ran"
    RESTORED = "restored from the cache"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Outcome:
    """What became of a stage. A failed one's `detail` is the end of its log."""

    stage: str
    result: Result
    seconds: float
    log: Path
    detail: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the stage's outputs are as they should be."""
        return self.result not in (Result.FAILED, Result.STOPPED)


def run_stage(stage: str, log: Path, stop: Event) -> Outcome:
    """Reproduce `stage`; wait while another process holds its files; end it when `stop` is set."""
    started = time.monotonic()
    while True:
        code = _run(stage, log, stop)
        text = log.read_text(encoding="utf-8", errors="replace")
        if code in (0, STOPPED) or not _is_busy(text):
            break
        stop.wait(BUSY_PAUSE)
    result = _result(code, text)
    detail = "\n".join(text.splitlines()[-TAIL:]) if result is Result.FAILED else ""
    return Outcome(stage, result, time.monotonic() - started, log, detail)


def log_file(folder: Path, stage: str) -> Path:
    """Where a stage's output goes: its name, with what does not belong in a file name replaced."""
    return folder / (re.sub(r"[^\w@.,=-]", "-", stage) + ".log")


def _run(stage: str, log: Path, stop: Event) -> int:
    """Run DVC once; its exit code, or `STOPPED`.

    A file takes its output, for a pipe would break DVC if this process died. The child's threads
    sleep while they wait, for other stages share the cores (see `stages`). A ``python`` in a stage's
    command is the one that runs this, whether or not its environment is activated.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    path = os.environ.get("PATH", os.defpath)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "GOMP_SPINCOUNT": "0", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}"},
        )
    while child.poll() is None and not stop.is_set():
        stop.wait(POLL)
    if child.poll() is not None:
        return child.returncode
    _end(child.pid)
    return STOPPED


def _end(pid: int) -> None:
    """End a process and all that it has started, also what has left its group."""
    family = [psutil.Process(pid)]
    for number, patience in GRACE:
        family = _with_descendants(family)
        for process in family:
            _signal(process, number)
        _, family = psutil.wait_procs(family, timeout=patience)


def _with_descendants(family: list[psutil.Process]) -> list[psutil.Process]:
    found = {process.pid: process for process in family}
    for process in family:
        with suppress(psutil.NoSuchProcess):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _is_busy(log: str) -> bool:
    """Whether DVC stopped before the command because another process holds the stage's files or the lock."""
    waits = ("is busy, it is being blocked by:", "Unable to acquire lock")
    return "Running stage '" not in log and any(wait in log for wait in waits)


def _result(code: int, log: str) -> Result:
    if code:
        return Result.STOPPED if code == STOPPED else Result.FAILED
    if "Running stage '" in log:
        return Result.RAN
    return Result.RESTORED if "is cached - skipping run" in log else Result.UNCHANGED
