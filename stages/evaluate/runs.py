"""The runs of a task that `params.yaml` lists; what earlier params left behind is not looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from stages import paths, record
from stages.errors import StageError
from stages.evaluate import predictions
from stages.evaluate.predictions import Predictions
from stages.evaluate.schema import Inapplicable
from stages.params import Params
from stages.record import INAPPLICABLE, NONE, Record

FURTHER = "further"


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
        if reason := _noted(folder, "finetune").get(INAPPLICABLE):
            inapplicable.append(Inapplicable(objective=objective, method=method, seed=seed, reason=reason))
            continue
        run = _read(folder)
        _check_identity(run.record, (objective, task, method, NONE, seed), folder)
        runs.append(run)
    return runs, inapplicable


def _compressed(params: Params, task: str) -> list[Run]:
    """A model that is the best of all and of its objective is compressed twice, and counts once."""
    runs: dict[str, Run] = {}
    for model, compressor in product(params.compress.models, params.compress.compressors):
        folder = paths.compressed_predictions(task, model, compressor)
        _noted(folder, "compress")
        run = _read(folder)
        found = run.record
        objective = found.objective if model == paths.BEST else model
        _check_identity(found, (objective, task, found.method, compressor, found.seed), folder)
        if (found.objective, found.method, found.seed) not in _finetuned_folders(params, task):
            raise StageError(
                f"{folder} was made from {found.original}, "
                f"which params.yaml no longer lists: run the compress stage again (`dvc repro`)"
            )
        runs.setdefault(found.name, run)
    return list(runs.values())


def _read(folder: Path) -> Run:
    found = record.read(folder)
    files = sorted((folder / FURTHER).glob("*.parquet"))
    further = {file.stem: predictions.read(file, found.family) for file in files}
    return Run(found, predictions.read(folder / "predictions.parquet", found.family), further)


def _noted(folder: Path, stage: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise StageError(f"{folder} is missing: the {stage} stage writes it; run `dvc repro`")
    return record.contents(folder)


def _check_identity(found: Record, expected: tuple[str, str, str, str, int], folder: Path) -> None:
    identity = (found.objective, found.task, found.method, found.compressor, found.seed)
    if identity != expected:
        raise StageError(f"{folder} holds the run {identity}, not {expected}: remove it and run `dvc repro`")
    if found.split != "test":
        raise StageError(f"{folder} holds predictions on {found.split}, not on test")


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
