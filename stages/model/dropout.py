"""Dropout whose draws come from a generator of the caller's, so that a resumed run draws the same.

PyTorch takes a draw of its own for every element, one after the other, which on a CPU is a good part of a small model's
step. Here 16 bits decide over an element, of NumPy's generator, which is seeded anew from the caller's each time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LEVELS = 2**16
"""Of a draw: a share is kept to within 1 in so many, and scaled by what it then is."""


@dataclass(frozen=True)
class Dropout:
    """Leave out a share of all elements and scale up the rest (Srivastava et al. 2014, §4).

    Attributes:
        probability: of an element to be left out; 0 returns what it is given.
        generator: on the CPU, where the draws are made.
    """

    probability: float = 0.0
    generator: torch.Generator | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if not self.probability:
            return x
        left_out = min(round(self.probability * LEVELS), LEVELS - 1)
        kept = self._levels(x.numel()).view(x.shape) >= left_out - LEVELS // 2
        return x * kept.to(x.device, x.dtype).mul_(LEVELS / (LEVELS - left_out))

    def _levels(self, count: int) -> Tensor:
        """Numbers (count,) of which each in [-2¹⁵, 2¹⁵) is as likely as any other."""
        seed = int(torch.randint(2**63 - 1, (), generator=self.generator))
        words = np.random.default_rng(seed).integers(2**64, size=-(-count // 4), dtype=np.uint64)
        return torch.from_numpy(words.view(np.int16)[:count])
