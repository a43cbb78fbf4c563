"""The tags that lead from a run to its code, its inputs and its outputs, and back."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from stages import artifacts, paths

CLOCK_TOLERANCE = 2.0
"""Seconds by which two readings of one process's start may differ."""

SOURCES = [".", ":(exclude)dvc.lock", ":(exclude)reports"]
"""What makes a checkout dirty; what stages write into git themselves does not."""


def origin() -> dict[str, str]:
    """The commit, the DVC stage and the process; what does not exist is left out."""
    tags = {"process": _process(os.getpid())}
    if stage := os.environ.get("DVC_STAGE"):
        tags["dvc.stage"] = stage
    if commit := head():
        tags["git.commit"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--", *SOURCES))).lower()
    return tags


def head() -> str:
    """The commit that is checked out; empty if there is none."""
    return _git("rev-parse", "HEAD")


def hashes(role: str, files: Sequence[Path]) -> dict[str, str]:
    """``<role>.<path from the project's root>`` to md5, for those of `files` that exist."""
    return {f"{role}.{_name(file)}": artifacts.md5(file) for file in files if file.exists()}


def is_dead(process: str) -> bool:
    """Whether a ``process`` tag names a process of this machine that has ended.

    One of another machine cannot be asked, so it counts as alive.
    """
    host, pid, started = process.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        found = psutil.Process(int(pid))
        return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - float(started)) > CLOCK_TOLERANCE
    except psutil.NoSuchProcess:
        return True


def _process(pid: int) -> str:
    """``host/pid/start``: the start (epoch seconds) tells the process from a later one with its pid."""
    return f"{socket.gethostname()}/{pid}/{psutil.Process(pid).create_time():.2f}"


def _git(*arguments: str) -> str:
    """What git prints; empty where there is no git, no repository or no commit."""
    command = ["git", "-C", str(paths.ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _name(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(paths.ROOT).as_posix() if path.is_relative_to(paths.ROOT) else path.as_posix()
