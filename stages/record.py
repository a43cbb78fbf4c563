"""Which model answered a task, beside its answers and beside the model that is selected: ``run.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, FiniteFloat

from stages import artifacts
from stages.artifacts import atomic_folder, write_json
from stages.errors import StageError
from stages.params import Section, parse

FILE = "run.json"
NONE = "none"
"""The compressor of a model that is not compressed."""
INAPPLICABLE = "inapplicable"
"""The only key of a run that there cannot be: beside it are no answers, and under it stands an `Absence`."""


class Record(Section):
    """Which model answered, and its size.

    `family` and `metric` are those of the task (`stages.task.Task`), `parameters` and
    `trainable_parameters` are counts, `bytes` the weights on disk: of a method that trains beside frozen
    weights what it trained, so that of a compressed model `bytes_before` tells the size of the whole model
    that it was made from. What else a stage notes there is its own affair.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    objective: str
    task: str
    method: str
    compressor: str
    seed: int
    split: str
    family: str
    metric: str
    parameters: int
    trainable_parameters: int
    bytes: int
    bytes_before: int | None = None
    validation: dict[str, FiniteFloat]

    @property
    def original(self) -> str:
        """``mlm-frozen-0``, also of what was compressed."""
        return f"{self.objective}-{self.method}-{self.seed}"

    @property
    def name(self) -> str:
        """``mlm-frozen-0``, or ``mlm-frozen-0 + int8_dynamic``."""
        return self.original + ("" if self.compressor == NONE else f" + {self.compressor}")

    @property
    def score(self) -> float:
        """On validation, by the task's metric.

        Raises:
            StageError: it was not measured.
        """
        if self.metric not in self.validation:
            raise StageError(f"{self.task}: {self.name} has no {self.metric} on validation: run `dvc repro`")
        return self.validation[self.metric]


class Absence(Section):
    """A run that there cannot be, and why."""

    objective: str
    method: str
    compressor: str
    seed: int
    reason: str


def contents(folder: Path) -> dict[str, Any]:
    """All that is noted in a folder.

    Raises:
        StageError: the file is missing, or is no JSON object.
    """
    found = artifacts.read_json(folder / FILE)
    if not isinstance(found, dict):
        raise StageError(f"{folder / FILE} holds no JSON object: remove it and run `dvc repro`")
    return found


def read(folder: Path) -> Record:
    """The record of a folder.

    Raises:
        StageError: the file is missing or damaged.
    """
    return parse(Record, contents(folder), str(folder / FILE))


def note(folders: Iterable[Path], absence: Absence) -> None:
    """Write, in the place of what the run would have made, why there is nothing."""
    for folder in folders:
        with atomic_folder(folder) as temporary:
            write_json(temporary / FILE, {INAPPLICABLE: absence.model_dump()})


def absence(folder: Path) -> Absence | None:
    """Why there is no such run; None where nothing says so.

    Raises:
        StageError: the file is damaged.
    """
    if not (folder / FILE).is_file() or INAPPLICABLE not in (noted := contents(folder)):
        return None
    return parse(Absence, noted[INAPPLICABLE], f"{folder / FILE}: {INAPPLICABLE}")
