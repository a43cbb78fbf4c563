"""How much memory a process has needed at once."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that getrusage counts in."""

STATUS = Path("/proc/self/status")
"""Where Linux tells it; its getrusage also counts what the parent had when it started this process."""


def peak() -> int:
    """In bytes: of the GPU if it computed there, of the process otherwise."""
    if torch.cuda.is_available() and (on_gpu := torch.cuda.max_memory_allocated()):
        return on_gpu
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
