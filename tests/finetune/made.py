"""A made task for the tests: a text is of class 1 if it holds more high words than low ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stages import token_store
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.finetune.tasks.base import Family
from stages.finetune.tasks.classification import Classification
from stages.finetune.tasks.regression import Regression
from stages.model.config import TransformerConfig
from stages.model.imported import Imported
from stages.model.transformer import Transformer, initialize
from stages.task import Task
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS
from stages.training.checkpoint import Checkpoint
from tests.model import checkpoints
from tests.training.toy import Silent

TASK = Task(family="classification", labels=("low", "high"), metric="accuracy")
CLASSES = Classification(TASK)
SCORES = Regression(Task(family="regression", labels=(), metric="pearson"))

VOCABULARY, LENGTH = len(SPECIAL_TOKENS) + 56, 24
LOWEST = len(SPECIAL_TOKENS)
MIDDLE = (VOCABULARY + LOWEST) // 2


def store(folder: Path, count: int, seed: int, *, scored: bool = False) -> token_store.TokenStore:
    """Texts of 4 to 40 words, clearly of one class; or with the share of high words as their score."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    texts, scores = [], []
    for label in labels:
        words = generator.random(int(generator.integers(4, 40)))
        high = words < (0.8 if label else 0.2)
        of_high, of_low = (
            generator.integers(low, above, len(words)) for low, above in ((MIDDLE, VOCABULARY), (LOWEST, MIDDLE))
        )
        ids = np.where(high, of_high, of_low)
        texts.append(([CLS_ID, *ids.tolist(), SEP_ID], 4 * len(words)))
        scores.append(high[: LENGTH - 2].mean())
    token_store.write(folder, texts, labels=np.asarray(scores, np.float32) if scored else labels.astype(np.int64))
    return token_store.read(folder)


def examples(folder: Path, count: int, seed: int, *, scored: bool = False) -> Examples:
    """All of them, cut to `LENGTH` tokens."""
    return Examples(store(folder, count, seed, scored=scored), np.arange(count), LENGTH, PAD_ID)


ARCHITECTURES = ("encoder", "decoder", "imported")


def backbone(architecture: str) -> Transformer | Imported:
    """32 dimensions, initial weights."""
    if architecture == "imported":
        return Imported(checkpoints.model("bert", VOCABULARY))
    model = Transformer(TransformerConfig(VOCABULARY, 32, 2, 2, 48, architecture == "decoder"))
    initialize(model, torch.Generator().manual_seed(0))
    return model


def job(folder: Path, seed: int = 0, family: Family = CLASSES) -> Job:
    """A task of 200 training and 100 validation examples."""
    scored = family is SCORES
    return Job(
        pretrained=folder / "pretrained",
        train=examples(folder / "train", 200, 1, scored=scored),
        validation=examples(folder / "validation", 100, 2, scored=scored),
        family=family,
        max_length=LENGTH,
        seed=seed,
        dtype=torch.float32,
        checkpoint=Checkpoint(folder, "made", {}),
        observer=Silent(),
    )
