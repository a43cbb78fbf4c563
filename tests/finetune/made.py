"""A made task for the tests: a text is of class 1 if it holds more high words than low ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stages import token_store
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.model.config import TransformerConfig
from stages.model.imported import Imported
from stages.model.transformer import Transformer, initialize
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS
from stages.training.checkpoint import Checkpoint
from tests.model import checkpoints
from tests.training.toy import Silent

VOCABULARY, LENGTH = len(SPECIAL_TOKENS) + 56, 24
LOWEST = len(SPECIAL_TOKENS)
MIDDLE = (VOCABULARY + LOWEST) // 2


def store(folder: Path, count: int, seed: int) -> token_store.TokenStore:
    """Texts of 4 to 40 words, clearly of one class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    texts = []
    for label in labels:
        words = generator.random(int(generator.integers(4, 40)))
        high = words < (0.8 if label else 0.2)
        of_high, of_low = (
            generator.integers(low, above, len(words)) for low, above in ((MIDDLE, VOCABULARY), (LOWEST, MIDDLE))
        )
        ids = np.where(high, of_high, of_low)
        texts.append(([CLS_ID, *ids.tolist(), SEP_ID], 4 * len(words)))
    token_store.write(folder, texts, labels=labels.astype(np.int64))
    return token_store.read(folder)


def examples(folder: Path, count: int, seed: int) -> Examples:
    """All of them, cut to `LENGTH` tokens."""
    return Examples(store(folder, count, seed), np.arange(count), LENGTH, PAD_ID)


ARCHITECTURES = ("encoder", "decoder", "imported")


def backbone(architecture: str) -> Transformer | Imported:
    """32 dimensions, initial weights."""
    if architecture == "imported":
        return Imported(checkpoints.model("bert", VOCABULARY))
    model = Transformer(TransformerConfig(VOCABULARY, 32, 2, 2, 48, architecture == "decoder"))
    initialize(model, torch.Generator().manual_seed(0))
    return model


def job(folder: Path, seed: int = 0) -> Job:
    """A task of 200 training and 100 validation examples."""
    return Job(
        train=examples(folder / "train", 200, 1),
        validation=examples(folder / "validation", 100, 2),
        labels=("low", "high"),
        max_length=LENGTH,
        seed=seed,
        dtype=torch.float32,
        checkpoint=Checkpoint(folder, "made", {}),
        observer=Silent(),
    )
