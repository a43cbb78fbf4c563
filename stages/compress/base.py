"""What a compressor is."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from stages import params
from stages.errors import Inapplicable, StageError
from stages.finetune.examples import Batch, Examples
from stages.finetune.predict import Scorer
from stages.finetune.tasks.base import Family
from stages.model.answerer import Answerer
from stages.training import randomness
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer

Shape = dict[str, Any]
"""JSON: what must be known, beside the tensors, to build a compressed model again."""


@dataclass(frozen=True)
class Material:
    """What a compressor may look at, and how it is to compute; the test split is never among it.

    Attributes:
        source: the folder of the model that is compressed, as it was before all steps.
        train: the training examples that the model was fitted to.
        validation: those that it was chosen by.
        texts: gives at most so many texts of the corpus, drawn; their labels mean nothing.
        checkpoints: where what is trained keeps its state until the chain is done.
        inputs: what decides the result besides code and versions: parameters, hashes of the data.
    """

    source: Path
    train: Examples
    validation: Examples
    texts: Callable[[int], Examples]
    family: Family
    seed: int
    dtype: torch.dtype
    observer: Observer
    checkpoints: Path
    inputs: Mapping[str, Any]

    def part(self, name: str) -> Material:
        """The same for a part of the work, whose checkpoints are its own."""
        return replace(self, checkpoints=self.checkpoints / name)

    def unlabelled(self, count: int) -> Material:
        """The same with texts of the corpus in place of the training examples."""
        return replace(self, train=self.texts(count))

    def batches(self, count: int, batch_size: int) -> Iterator[Batch]:
        """At most ``count`` of the training examples, drawn, those of similar lengths together.

        Raises:
            StageError: there are none.
        """
        if not len(self.train):
            raise StageError("params.yaml: finetune.max_train_examples: no training examples are left to look at")
        drawn = randomness.numpy_generator(self.seed, "compress-examples").permutation(len(self.train))[:count]
        places = drawn[np.argsort(self.train.lengths[drawn], kind="stable")]
        for start in range(0, len(places), batch_size):
            yield self.train.batch(places[start : start + batch_size])

    def checkpoint(self, name: str) -> Checkpoint:
        """Where one run of training keeps its state, to go on after a kill bit for bit.

        It is kept when that run is done: whoever resumes a later one trains nothing again.
        """
        return Checkpoint(self.checkpoints, name, self.inputs)

    def discard(self) -> None:
        """Forget what was trained, once the result is written."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


class Compressor(ABC):
    """One way to make a tuned model smaller; ``Options`` are the keys under ``compressors.<name>``.

    There is one path to the small model: `compress` leaves just the modules and tensors that `shape` and the loading of
    what was saved make.

    Attributes:
        quantizes: whether weights are integers afterwards, which no later step can change.
        sparsifies: whether weights are zero afterwards, which training would change.
    """

    quantizes: ClassVar[bool] = False
    sparsifies: ClassVar[bool] = False

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any, where: str) -> None:
        """``where``: the file and key that the options stand under, which errors name."""
        self.options, self.where = options, where

    @property
    def trains(self) -> bool:
        """Whether it trains weights."""
        return False

    def refusal(self, before: Sequence[str]) -> str | None:
        """Why it cannot come after these steps of a chain, methods by name; None if it can."""
        return None

    @abstractmethod
    def compress(self, model: Answerer, material: Material) -> Shape:
        """Give the model its smaller modules and weights, in place.

        Raises:
            Inapplicable: the model's architecture has no place for it.
            StageError: an option has a value that cannot be of its sizes.
        """

    @abstractmethod
    def shape(self, model: Answerer, shape: Shape) -> None:
        """Give a model of the shape before, whose weights are still to be loaded, the same modules, in place."""

    def refuse(self, reason: str) -> StageError:
        """The error that says what is wrong with what was asked."""
        return StageError(f"{self.where}: {reason}")

    def unfit(self, reason: str) -> Inapplicable:
        """What says why it cannot be done to this model, which nobody chose by name."""
        return Inapplicable(f"{self.where}: {reason}")


class Export(Compressor):
    """A last step, which hands the model over to another runtime; it is saved in files of its own."""

    def compress(self, model: Answerer, material: Material) -> Shape:
        """Nothing: what is exported is the model as it is."""
        return {}

    def shape(self, model: Answerer, shape: Shape) -> None:
        """Nothing."""

    @abstractmethod
    def export(self, model: Answerer, folder: Path, material: Material) -> None:
        """Write the model's files into its folder, where those of the exports before this one lie."""

    @abstractmethod
    def open(self, folder: Path) -> Scorer:
        """What answers from those files, with as many threads as PyTorch has."""
