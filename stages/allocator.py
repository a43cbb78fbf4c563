"""How the C library keeps freed memory: for the next training step, instead of giving it back to the system.

Tensors of some megabytes come and go thousands of times a second. By its defaults glibc asks the system for each of
them anew, and the system hands out pages one fault at a time, all zeroed first: measured, a fifth of a training step,
and more in a virtual machine. Pages of two megabytes instead of four kilobytes are another twentieth. It does not touch
a bit of any result.
"""

from __future__ import annotations

import ctypes
import mmap
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
        _ask_for_huge_pages(library)


def _ask_for_huge_pages(library: ctypes.CDLL) -> None:
    """For the next gigabyte of the heap, where the system gives them to who asks; none of it is used by that."""
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = MAP_FROM - mmap.PAGESIZE  # just not mapped on its own
    if block := library.malloc(size):
        first = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        library.madvise(first, block + size - first, mmap.MADV_HUGEPAGE)
        library.free(block)
