"""How the C library keeps freed memory: for the next training step, instead of giving it back to the system.

Tensors of some megabytes come and go thousands of times a second. By its defaults glibc asks the system for each of
them anew, and the system hands out pages one fault at a time, all zeroed first: measured, a fifth of a training step,
and more in a virtual machine. It does not touch a bit of any result.
"""

from __future__ import annotations

import ctypes
import platform

# Names and numbers of <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
TRIM_AT, MAP_FROM = 2**31 - 1, 2**30
"""Bytes that may lie free at the end of the heap, and size from which a tensor is mapped on its own."""


def keep_freed_memory() -> None:
    """Of this process, from now on. Other C libraries than glibc are left as they are."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, MAP_FROM)
        library.mallopt(M_TRIM_THRESHOLD, TRIM_AT)
