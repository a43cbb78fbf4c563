"""Dropout whose draws come from a generator of the caller's, so that a resumed run draws the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
        kept = torch.rand(x.shape, generator=self.generator) >= self.probability
        return x * (kept.to(x.device, x.dtype) / (1 - self.probability))
