"""The choice, and what it is written as."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import paths, record
from stages.artifacts import atomic_folder, write_json
from stages.errors import StageError
from stages.finetune import files
from stages.params import Params
from stages.record import Record


@dataclass(frozen=True)
class Candidate:
    """A fine-tuned model, all that its ``run.json`` notes, and what of it every model's has."""

    folder: Path
    noted: dict[str, Any]
    record: Record


def choose(settings: Params, task: str) -> dict[str, Candidate]:
    """The best of all, and of each objective that is to be compressed, by the names of `compress.models`.

    Raises:
        StageError: a model has no result, or no method fits an objective.
    """
    found = candidates(settings, task)
    by_name = {
        name: [one for one in found if name in (paths.BEST, one.record.objective)] for name in settings.compress.models
    }
    for name, among in by_name.items():
        if not among:
            raise StageError(f"{task}: no method of finetune.methods fits {name}: take it out of compress.models")
    return {name: best(among) for name, among in by_name.items()}


def candidates(settings: Params, task: str) -> list[Candidate]:
    """All models that `params.yaml` lists for the task; leftovers of other settings are not looked at.

    Raises:
        StageError: one of them has no result, or no method fits any objective.
    """
    listed = itertools.product(settings.pretrain.objectives, settings.finetune.methods, settings.seeds)
    found = [one for objective, method, seed in listed if (one := _candidate(task, objective, method, seed))]
    if not found:
        raise StageError(f"{task}: no method of params.yaml: finetune.methods fits any objective: add another")
    return found


def _candidate(task: str, objective: str, method: str, seed: int) -> Candidate | None:
    """None where there cannot be such a run."""
    folder = paths.finetuned(task, objective, method, seed)
    answers = paths.PREDICTIONS / "finetuned" / task / folder.name
    if record.absence(answers) is not None:
        return None
    noted = record.contents(answers)
    if not folder.is_dir():
        raise StageError(f"{folder.relative_to(paths.ROOT)} is missing: run `dvc repro` to make it")
    return Candidate(folder, noted, record.read(answers))


def best(among: list[Candidate]) -> Candidate:
    """The highest on validation; of equals the first listed, so that the choice is reproducible."""
    return max(among, key=lambda candidate: candidate.record.score)


def write(chosen: Candidate, target: Path) -> None:
    """Copy the model, so that it stands alone, with the ``run.json`` that says which one it is."""
    with atomic_folder(target) as temporary:
        files.stand_alone(chosen.folder, temporary)
        write_json(temporary / record.FILE, chosen.noted)
