"""Labelled examples as text: a task's name and its texts as the source, its label's name as the target (T5, §2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stages import artifacts, token_store
from stages.errors import StageError
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import PADDING, Pairs
from stages.tokenizer.special import PAD_ID
from stages.training import randomness

FOLDER, WORDING = "examples", "wording.json"
"""In what was gathered for a run: a folder for each task, with its token stores, and how its labels are said."""

REAL = 0
"""The document of all text, which does not see the padding of its row."""


def said(label: float, *, is_score: bool) -> str:
    """The key of a label in a task's wording: its class, or its score to the nearest 0.2 (T5, §2.4)."""
    return f"{round(5 * float(label)) / 5:.1f}" if is_score else str(int(label))


@dataclass(frozen=True)
class Task:
    """Some examples of one task.

    Attributes:
        store: of the texts, within [CLS] and [SEP], and their labels.
        places: of the examples in use.
        prompt: the task's name, as token ids.
        targets: what each label is called, as token ids, by `said`.
    """

    store: token_store.TokenStore
    places: NDArray[np.int64]
    prompt: list[int]
    targets: dict[str, list[int]]

    def target(self, place: int) -> list[int]:
        """The label of an example in words."""
        assert self.store.labels is not None
        return self.targets[said(self.store.labels[place], is_score=self.store.labels.dtype == np.float32)]


class Examples:
    """The examples of all tasks, one after another: mixed in proportion to their numbers (T5, §3.5.2)."""

    def __init__(self, tasks: Sequence[Task], length: int, target_length: int) -> None:
        """
        Args:
            tasks: whose examples they are.
            length: tokens of a source, which longer texts are cut to.
            target_length: tokens of a target, which shorter names are padded to.

        Raises:
            StageError: a label's name is longer.
        """
        self._tasks, self._length, self._target_length = tasks, length, target_length
        self._ends = np.cumsum([len(task.places) for task in tasks])
        longest = max(len(ids) for task in tasks for ids in task.targets.values())
        if longest > target_length:
            raise StageError(f"params.yaml: multitask: a label's name has {longest} tokens: set target_length to that")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, indices: NDArray[np.int64], generator: torch.Generator) -> Pairs:
        """Examples by index; nothing is drawn."""
        sources, targets = zip(*(self._example(int(index)) for index in indices), strict=True)
        # a prefix decoder predicts the target's first token from the source's last, which must be text
        return Pairs(_padded(sources, self._length, before=True), _padded(targets, self._target_length))

    def _example(self, index: int) -> tuple[list[int], list[int]]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        task = self._tasks[number]
        place = int(task.places[index - (self._ends[number - 1] if number else 0)])
        return [*task.prompt, *task.store[place].tolist()][: self._length], task.target(place)


def read(gathered: Path, part: str, limit: int | None, seed: int) -> list[Task]:
    """All gathered tasks, at most ``limit`` examples of each: those that fine-tuning draws with the same seed.

    Raises:
        StageError: there are none, or a file is missing or damaged.
    """
    folders = sorted((gathered / FOLDER).glob("*/"))
    if not folders:
        raise StageError(f"{gathered / FOLDER} has no examples: run `dvc repro` to gather them")
    tasks = []
    for folder in folders:
        store, wording = token_store.read(folder / part), artifacts.read_json(folder / WORDING)
        tasks.append(Task(store, randomness.sample(len(store), limit, seed), wording["prompt"], wording["targets"]))
    return tasks


def _padded(rows: Sequence[list[int]], length: int, *, before: bool = False) -> Text:
    """Rows of one length, with padding behind them or ``before`` them."""
    input_ids = torch.full((len(rows), length), PAD_ID)
    documents = torch.full((len(rows), length), PADDING)
    for number, row in enumerate(rows):
        place = slice(length - len(row), length) if before else slice(len(row))
        input_ids[number, place] = torch.tensor(row)
        documents[number, place] = REAL
    return Text(input_ids, documents)
