"""A made language for the objectives' tests: each word follows from the one before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stages import token_store
from stages.tokenizer.special import SEP_ID, SPECIAL_TOKENS
from stages.tokenizer.vocabulary import Vocabulary

WORDS = 52
VOCABULARY = len(SPECIAL_TOKENS) + WORDS
STOP, INSIDE = len(SPECIAL_TOKENS), range(len(SPECIAL_TOKENS) + 1, len(SPECIAL_TOKENS) + 11)
"""The word that ends a sentence, and those that go on the word before them."""


def vocabulary() -> Vocabulary:
    """What the made language's words are."""
    continues, ends = torch.zeros(VOCABULARY, dtype=torch.bool), torch.zeros(VOCABULARY, dtype=torch.bool)
    continues[INSIDE.start : INSIDE.stop] = True
    ends[STOP] = True
    return Vocabulary(VOCABULARY, continues, ends)


def texts(count: int, seed: int) -> list[tuple[list[int], int]]:
    """Walks that go on by one of two steps, so that there is something to learn and something to guess."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        steps = generator.choice([1, 7], size=int(generator.integers(8, 30)))
        walk = (generator.integers(WORDS) + np.cumsum(steps)) % WORDS
        made.append(([*(walk + len(SPECIAL_TOKENS)).tolist(), SEP_ID], 4 * (len(walk) + 1)))
    return made


def write(folder: Path, count: int = 200, seed: int = 0) -> token_store.TokenStore:
    """The same as a store on disk."""
    token_store.write(folder, texts(count, seed))
    return token_store.read(folder)
