"""Freed memory is kept: what is taken again costs no page faults. New memory comes in huge pages."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource
{first}
import torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**20), torch.ones(2**24)
before = faults()
for _ in range(10):
    torch.ones(2**20), torch.ones(2**24)
print(faults() - before)
"""


PAGES = """
{first}
import torch
held = torch.ones(2**24)
with open("/proc/self/smaps") as file:
    print(sum(int(line.split()[1]) for line in file if line.startswith("AnonHugePages")))
"""
ON_REQUEST = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def counted(script: str, first: str) -> int:
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script.format(first=first)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_memory_that_is_taken_again_costs_no_page_faults() -> None:
    """Pages that the system had to hand out for ten tensors of 4 MiB and ten of 64 MiB, taken one after another."""
    assert counted(FAULTS, "import stages") < 100 < counted(FAULTS, "")


@pytest.mark.skipif(
    not (ON_REQUEST.exists() and "[madvise]" in ON_REQUEST.read_text()),
    reason="there are no huge pages on request",
)
def test_tensors_lie_in_huge_pages() -> None:
    """KiB of a tensor of 64 MiB; some may be lacking where memory is in pieces."""
    assert counted(PAGES, "import stages") > 20_000 > counted(PAGES, "")
