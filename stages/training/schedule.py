"""Learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Callable


def trapezoid(progress: float, warmup: float, decay: float) -> float:
    """Factor on the learning rate: linear warm-up, plateau, linear decay to zero (Zhai et al. 2022, §3.5).

    Args:
        progress: share of the run done, in [0, 1].
        warmup: share of the run spent rising.
        decay: share of the run spent falling, at its end.
    """
    rising = progress / warmup if warmup else 1.0
    falling = (1 - progress) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))


def cosine(progress: float, warmup: float, decay: float) -> float:
    """The same with half a period of a cosine as its fall (Loshchilov & Hutter 2017, SGDR, equation 5)."""
    rising = progress / warmup if warmup else 1.0
    falling = (1 - math.cos(math.pi * min(1.0, (1 - progress) / decay))) / 2 if decay else 1.0
    return max(0.0, min(1.0, rising, falling))


SHAPES: dict[str, Callable[[float, float, float], float]] = {"trapezoid": trapezoid, "cosine": cosine}
