"""The runs of a task that `params.yaml` lists; what earlier params left behind is not looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages import paths, record
from stages.errors import StageError
from stages.evaluate import predictions
from stages.evaluate.predictions import Predictions
from stages.params import Params
from stages.record import NONE, Absence, Record

FURTHER = "further"


@dataclass(frozen=True)
class Run:
    """A model's record, its predictions on the test split, and those on further sets whose labels are known."""

    record: Record
    predictions: Predictions
    further: dict[str, Predictions] = field(default_factory=dict)


class Identity(NamedTuple):
    """What tells the runs of a task apart."""

    objective: str
    method: str
    compressor: str
    seed: int


@dataclass(frozen=True)
class Listed:
    """What became of the runs that `params.yaml` lists: those that answered, and those that there cannot be.

    `best` is the objective of the model that was chosen of all to be compressed, if one was.
    """

    runs: list[Run]
    inapplicable: list[Absence]
    best: str | None


def read(params: Params, task: str) -> Listed:
    """The runs of a task, uncompressed ones first, in the order of `params.yaml`.

    A model that is the best of all and of its objective is compressed twice, and counts once.

    Raises:
        StageError: the task is not listed, a run is missing or damaged, or two runs did not answer
            the same test examples, or none answered.
    """
    if task not in params.tasks:
        raise StageError(f"{task!r} is not in params.yaml: tasks ({', '.join(params.tasks)})")
    tuned, compressed = _finetuned(params, task), _compressed(params, task)
    if isinstance(first := next((one for one in tuned if isinstance(one, Run)), tuned[0]), Absence):
        raise StageError(f"{task}: no method fits any objective: {first.reason}")
    once = {_identity(one): one for made in compressed.values() for one in made}
    listed = [*tuned, *once.values()]
    runs = [one for one in listed if isinstance(one, Run)]
    for run in runs:
        _check_same_examples(runs[0], run)
    best = compressed.get(paths.BEST)
    absent = [one for one in listed if isinstance(one, Absence)]
    return Listed(runs, absent, _identity(best[0]).objective if best else None)


def _finetuned_folders(params: Params, task: str) -> dict[tuple[str, str, int], Path]:
    runs = product(params.pretrain.objectives, params.finetune.methods, params.seeds)
    folder = paths.PREDICTIONS / "finetuned" / task
    return {run: folder / "{}-{}-{}".format(*run) for run in runs}


def _finetuned(params: Params, task: str) -> list[Run | Absence]:
    listed = _finetuned_folders(params, task)
    found = {run: _read(folder, "finetune", task) for run, folder in listed.items()}
    for (objective, method, seed), one in found.items():
        _check_identity(one, Identity(objective, method, NONE, seed), listed[objective, method, seed])
    return list(found.values())


def _compressed(params: Params, task: str) -> dict[str, list[Run | Absence]]:
    """What was made of each model."""
    return {
        model: [_made(params, task, model, compressor) for compressor in params.compress.compressors]
        for model in params.compress.models
    }


def _made(params: Params, task: str, model: str, compressor: str) -> Run | Absence:
    folder = paths.compressed_predictions(task, model, compressor)
    found = _read(folder, "compress", task)
    objective, method, _, seed = _identity(found)
    _check_identity(found, Identity(objective if model == paths.BEST else model, method, compressor, seed), folder)
    if (objective, method, seed) not in _finetuned_folders(params, task):
        raise StageError(
            f"{folder} was made from {objective}-{method}-{seed}, "
            f"which params.yaml no longer lists: run the compress stage again (`dvc repro`)"
        )
    return found


def _read(folder: Path, stage: str, task: str) -> Run | Absence:
    if not folder.is_dir():
        raise StageError(f"{folder} is missing: the {stage} stage writes it; run `dvc repro`")
    if (absence := record.absence(folder)) is not None:
        return absence
    found = record.read(folder)
    if (found.task, found.split) != (task, "test"):
        raise StageError(f"{folder} holds predictions on {found.split} of {found.task}, not on test of {task}")
    files = sorted((folder / FURTHER).glob("*.parquet"))
    further = {file.stem: predictions.read(file, found.family) for file in files}
    return Run(found, predictions.read(folder / "predictions.parquet", found.family), further)


def _identity(found: Run | Absence) -> Identity:
    of = found.record if isinstance(found, Run) else found
    return Identity(of.objective, of.method, of.compressor, of.seed)


def _check_identity(found: Run | Absence, expected: Identity, folder: Path) -> None:
    if (identity := _identity(found)) != expected:
        raise StageError(
            f"{folder} holds the run {tuple(identity)}, not {tuple(expected)}: remove it and run `dvc repro`"
        )


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
