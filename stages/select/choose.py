"""The choice, and what it is written as."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

from stages import paths
from stages.artifacts import atomic_folder, read_json, write_json
from stages.errors import StageError
from stages.params import Params

RUN = "run.json"


@dataclass(frozen=True)
class Candidate:
    """A fine-tuned model, its ``run.json``, and its validation figure, which is of the task's metric."""

    folder: Path
    run: dict[str, object]
    metric: str
    value: float


def candidates(settings: Params, task: str) -> list[Candidate]:
    """All models that `params.yaml` lists for the task; leftovers of other settings are not looked at.

    Raises:
        StageError: one of them has no result.
    """
    listed = itertools.product(settings.pretrain.objectives, settings.finetune.methods, settings.seeds)
    return [_candidate(task, objective, method, seed) for objective, method, seed in listed]


def _candidate(task: str, objective: str, method: str, seed: int) -> Candidate:
    folder = paths.finetuned(task, objective, method, seed)
    run = read_json(paths.PREDICTIONS / "finetuned" / task / folder.name / RUN)
    if not folder.is_dir():
        raise StageError(f"{folder.relative_to(paths.ROOT)} is missing: run `dvc repro` to make it")
    return Candidate(folder, run, run["metric"], float(run["validation"][run["metric"]]))


def best(among: list[Candidate]) -> Candidate:
    """The highest on validation; of equals the first listed, so that the choice is reproducible."""
    return max(among, key=lambda candidate: candidate.value)


def write(chosen: Candidate, target: Path) -> None:
    """Copy the model, with the ``run.json`` that says which one it is."""
    with atomic_folder(target) as temporary:
        for file in sorted(chosen.folder.iterdir()):
            shutil.copyfile(file, temporary / file.name)
        write_json(temporary / RUN, chosen.run)
