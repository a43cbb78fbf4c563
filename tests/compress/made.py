"""Compressing 32-dim models, with what a compressor may look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages import token_store
from stages.compress import chain, files
from stages.compress.base import Material
from stages.finetune.examples import Examples
from stages.finetune.tasks.classification import Classification
from stages.model import classifier
from stages.task import Task
from tests.training.toy import Silent

FIRST, LENGTH = 4, 16
"""The id of the first token that is not special, and how many tokens a text is cut to."""

Step = str | tuple[str, Mapping[str, Any]]
"""A compressor's name, or that and its options."""


def steps(*described: Step) -> chain.Chain:
    """A chain as an entry of `params.yaml` would make it."""
    named = [(one, {}) if isinstance(one, str) else one for one in described]
    where = "params.yaml: compressors.made"
    return chain.check([chain.make(*one, f"{where}.{place}") for place, one in enumerate(named)])


def compress(target: Path, source: Path, *described: Step, data: Material | None = None) -> None:
    """Compress a saved model by a chain of these steps."""
    files.save(target, steps(*described), data or material(target.with_name(f"{target.name}-material"), source))


def material(folder: Path, source: Path, vocabulary: int = 28, count: int = 60, **changes: Any) -> Material:
    """Examples whose class says whether most of their tokens are of the upper half of the vocabulary."""
    labels = classifier.load_config(source).labels
    given: dict[str, Any] = {
        "source": source,
        "train": examples(folder / "train", vocabulary, count, 1, len(labels)),
        "validation": examples(folder / "validation", vocabulary, count, 2, len(labels)),
        "texts": lambda asked: examples(folder / "texts", vocabulary, asked, 3),
        "family": Classification(Task(family="classification", labels=labels, metric="accuracy")),
        "seed": 0,
        "dtype": torch.float32,
        "observer": Silent(),
        "checkpoints": folder / "checkpoints",
        "inputs": {},
    }
    return Material(**{**given, **changes})


def examples(folder: Path, vocabulary: int, count: int, seed: int, classes: int = 2) -> Examples:
    """Texts of 4 to 20 tokens."""
    generator, texts = np.random.default_rng(seed), []
    labels = generator.integers(0, max(classes, 2), count)
    middle = (FIRST + vocabulary) // 2
    for label in labels:
        upper = generator.random(int(generator.integers(4, 20))) < (0.8 if label else 0.2)
        low = generator.integers(FIRST, middle, len(upper))
        high = generator.integers(middle, vocabulary, len(upper))
        texts.append((np.where(upper, high, low).tolist(), len(upper)))
    token_store.write(folder, texts, labels=labels.astype(np.int64))
    return Examples(token_store.read(folder), np.arange(count), LENGTH, 0)
