"""The runs of a task that `params.yaml` lists; what earlier params left behind is not looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, FiniteFloat

from stages import artifacts, paths
from stages.errors import StageError
from stages.evaluate import predictions
from stages.evaluate.predictions import Predictions
from stages.evaluate.schema import NONE, Inapplicable
from stages.params import Params, Section, parse

RUN, FURTHER = "run.json", "further"
INAPPLICABLE = "inapplicable"
"""The key of a run that there cannot be: beside it are no predictions, and it says why."""


class Record(Section):
    """``run.json`` beside the predictions: which model answered, and its size.

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
    def name(self) -> str:
        """``mlm-frozen-0``, or ``mlm-frozen-0 + int8_dynamic``."""
        suffix = "" if self.compressor == NONE else f" + {self.compressor}"
        return f"{self.objective}-{self.method}-{self.seed}{suffix}"


@dataclass(frozen=True)
class Run:
    """A model's record, its predictions on the test split, and those on further sets whose labels are known."""

    record: Record
    predictions: Predictions
    further: dict[str, Predictions] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """What became of the runs that `params.yaml` lists: those that answered, and those that there cannot be."""

    runs: list[Run]
    inapplicable: list[Inapplicable]


def read(params: Params, task: str) -> Listed:
    """The runs of a task, uncompressed ones first, in the order of `params.yaml`.

    Raises:
        StageError: the task is not listed, a run is missing or damaged, or two runs did not answer
            the same test examples, or none answered.
    """
    if task not in params.tasks:
        raise StageError(f"{task!r} is not in params.yaml: tasks ({', '.join(params.tasks)})")
    found, inapplicable = _finetuned(params, task)
    runs = found + _compressed(params, task)
    if not found:
        raise StageError(f"{task}: no method fits any objective: {inapplicable[0].reason}")
    for run in runs:
        _check_same_examples(runs[0], run)
    return Listed(runs, inapplicable)


def _finetuned_folders(params: Params, task: str) -> dict[tuple[str, str, int], Path]:
    runs = product(params.pretrain.objectives, params.finetune.methods, params.seeds)
    folder = paths.PREDICTIONS / "finetuned" / task
    return {run: folder / "{}-{}-{}".format(*run) for run in runs}


def _finetuned(params: Params, task: str) -> tuple[list[Run], list[Inapplicable]]:
    runs, inapplicable = [], []
    for (objective, method, seed), folder in _finetuned_folders(params, task).items():
        if reason := _content(folder, "finetune").get(INAPPLICABLE):
            inapplicable.append(Inapplicable(objective=objective, method=method, seed=seed, reason=reason))
            continue
        run = _read(folder, "finetune")
        _check_identity(run.record, (objective, task, method, NONE, seed), folder)
        runs.append(run)
    return runs, inapplicable


def _compressed(params: Params, task: str) -> list[Run]:
    """A model that is the best of all and of its objective is compressed twice, and counts once."""
    runs: dict[str, Run] = {}
    for model, compressor in product(params.compress.models, params.compress.compressors):
        folder = paths.compressed_predictions(task, model, compressor)
        run = _read(folder, "compress")
        record = run.record
        objective = record.objective if model == paths.BEST else model
        _check_identity(record, (objective, task, record.method, compressor, record.seed), folder)
        if (record.objective, record.method, record.seed) not in _finetuned_folders(params, task):
            raise StageError(
                f"{folder} was made from {record.objective}-{record.method}-{record.seed}, "
                f"which params.yaml no longer lists: run the compress stage again (`dvc repro`)"
            )
        runs.setdefault(record.name, run)
    return list(runs.values())


def _read(folder: Path, stage: str) -> Run:
    record = parse(Record, _content(folder, stage), str(folder / RUN))
    files = sorted((folder / FURTHER).glob("*.parquet"))
    further = {file.stem: predictions.read(file, record.family) for file in files}
    return Run(record, predictions.read(folder / "predictions.parquet", record.family), further)


def _content(folder: Path, stage: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise StageError(f"{folder} is missing: the {stage} stage writes it; run `dvc repro`")
    content: dict[str, Any] = artifacts.read_json(folder / RUN)
    return content


def _check_identity(record: Record, expected: tuple[str, str, str, str, int], folder: Path) -> None:
    found = (record.objective, record.task, record.method, record.compressor, record.seed)
    if found != expected:
        raise StageError(f"{folder} holds the run {found}, not {expected}: remove it and run `dvc repro`")
    if record.split != "test":
        raise StageError(f"{folder} holds predictions on {record.split}, not on test")


def _check_same_examples(first: Run, run: Run) -> None:
    """Paired statistics need the same questions and the same answer key."""
    alike = (first.record.family, first.record.metric) == (run.record.family, run.record.metric)
    ours, theirs = ({"test": one.predictions, **one.further} for one in (first, run))
    if not (alike and ours.keys() == theirs.keys() and all(_same(ours[name], theirs[name]) for name in ours)):
        raise StageError(
            f"{run.record.task}: {first.record.name} and {run.record.name} answered different test examples "
            f"(ids, labels, number of classes or metric differ): run `dvc repro` to make both from the same data"
        )


def _same(a: Predictions, b: Predictions) -> bool:
    return a.classes == b.classes and np.array_equal(a.ids, b.ids) and np.array_equal(a.labels, b.labels)
