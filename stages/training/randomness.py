"""Generators seeded by (seed, purpose, position), so that nothing depends on what was drawn before.

A run that resumes at step 900 draws for step 900 what an uninterrupted one draws, and no generator state
needs to be saved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray


def derive(seed: int, purpose: str, position: int = 0) -> int:
    """A 63-bit seed from the run's seed, what the draw is for, and where in the run it happens."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def torch_generator(seed: int, purpose: str, position: int = 0) -> torch.Generator:
    """A CPU generator; draws are made there and moved, so that every device sees the same numbers."""
    return torch.Generator().manual_seed(derive(seed, purpose, position))


@contextmanager
def drawing(seed: int, purpose: str, position: int = 0) -> Iterator[None]:
    """Let a library that draws from PyTorch's global generator draw what is seeded here, and leave that as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, purpose, position))
        yield


def sample(count: int, limit: int | None, seed: int) -> NDArray[np.int64]:
    """At most ``limit`` of ``count`` labelled examples, drawn without replacement, in their order; None takes all.

    Whoever is given labels with one seed is given the same ones.
    """
    if limit is None or count <= limit:
        return np.arange(count)
    return np.sort(numpy_generator(seed, "finetune-examples").permutation(count)[:limit])


def numpy_generator(seed: int, purpose: str, position: int = 0) -> np.random.Generator:
    """The same for NumPy."""
    return np.random.default_rng(derive(seed, purpose, position))
