"""Freed memory is kept: what is taken again costs no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

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


def faults(first: str) -> int:
    """Pages that the system had to hand out for ten tensors of 4 MiB and ten of 64 MiB, taken one after another."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(first=first)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_memory_that_is_taken_again_costs_no_page_faults() -> None:
    assert faults("import stages") < 100 < faults("")
