"""What a process has needed at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from stages.training import memory
print(memory.peak())
held = bytearray(300 * 2**20)
held[::4096] = b"x" * len(held[::4096])
print(memory.peak())
del held
print(memory.peak())
"""


def test_memory_that_was_given_back_counts_and_that_of_the_parent_does_not() -> None:
    """300 MiB that are touched, then freed, on top of what PyTorch takes; this process holds far more meanwhile."""
    ours = bytearray(b"x") * (2000 * 2**20)
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True)
    before, during, after = (int(line) / 2**20 for line in done.stdout.split())
    assert 50 < before < 2000 == len(ours) / 2**20
    assert 200 < during - before < 310
    assert after >= during
