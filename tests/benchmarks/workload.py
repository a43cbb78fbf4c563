"""What both contenders of `tests.benchmarks.training` do; free of this project, which sets up the process it is in."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VOCABULARY, LENGTH, WIDTH, LAYERS, HEADS = 8192, 128, 256, 4, 4
PROBABILITY = 0.15


@dataclass(frozen=True)
class Amount:
    """How much is done: sequences a step, steps that are timed, and steps before them."""

    batch_size: int
    steps: int
    warm_up: int = 2

    def rate(self, seconds: float) -> float:
        """Tokens per second of the timed steps."""
        return self.steps * self.batch_size * LENGTH / seconds


def text(batch_size: int, specials: int) -> NDArray[np.int64]:
    """Token ids as common as words are (Zipf), (batch, length); the first ``specials`` are no words."""
    ranks = np.random.default_rng(0).zipf(1.2, size=(batch_size, LENGTH)) % (VOCABULARY - specials)
    return (ranks + specials).astype(np.int64)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments of an `Amount`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--batch-size", type=int, default=32)
    made.add_argument("--steps", type=int, default=6)
    return made
