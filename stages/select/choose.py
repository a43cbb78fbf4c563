"""The choice, and what it is written as."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from stages import paths
from stages.artifacts import atomic_folder, read_json, write_json
from stages.errors import StageError
from stages.finetune import files, inapplicable
from stages.params import Params

RUN = "run.json"


@dataclass(frozen=True)
class Candidate:
    """A fine-tuned model, its ``run.json``, and its validation figure, which is of the task's metric."""

    folder: Path
    run: dict[str, object]
    metric: str
    value: float


def choose(settings: Params, task: str) -> dict[str, Candidate]:
    """The best of all, and of each objective that is to be compressed, by the names of `compress.models`.

    Raises:
        StageError: a model has no result, or no method fits an objective.
    """
    found = candidates(settings, task)
    by_name = {
        name: [one for one in found if name in (paths.BEST, one.run["objective"])] for name in settings.compress.models
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
    run = read_json(paths.PREDICTIONS / "finetuned" / task / folder.name / RUN)
    if inapplicable.KEY in run:
        return None
    if not folder.is_dir():
        raise StageError(f"{folder.relative_to(paths.ROOT)} is missing: run `dvc repro` to make it")
    return Candidate(folder, run, run["metric"], float(run["validation"][run["metric"]]))


def best(among: list[Candidate]) -> Candidate:
    """The highest on validation; of equals the first listed, so that the choice is reproducible."""
    return max(among, key=lambda candidate: candidate.value)


def write(chosen: Candidate, target: Path) -> None:
    """Copy the model, so that it stands alone, with the ``run.json`` that says which one it is."""
    with atomic_folder(target) as temporary:
        files.stand_alone(chosen.folder, temporary)
        write_json(temporary / RUN, chosen.run)
