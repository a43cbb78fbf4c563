"""A made language for the objectives' tests: each word follows from the one before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages import token_store
from stages.tokenizer.special import SEP_ID, SPECIAL_TOKENS

VOCABULARY = 60


def texts(count: int, seed: int) -> list[tuple[list[int], int]]:
    """Walks that go on by one of two steps, so that there is something to learn and something to guess."""
    generator = np.random.default_rng(seed)
    words = VOCABULARY - len(SPECIAL_TOKENS)
    made = []
    for _ in range(count):
        steps = generator.choice([1, 7], size=int(generator.integers(8, 30)))
        walk = (generator.integers(words) + np.cumsum(steps)) % words
        made.append(([*(walk + len(SPECIAL_TOKENS)).tolist(), SEP_ID], 4 * len(walk)))
    return made


def write(folder: Path, count: int = 200, seed: int = 0) -> token_store.TokenStore:
    """The same as a store on disk."""
    token_store.write(folder, texts(count, seed))
    return token_store.read(folder)
