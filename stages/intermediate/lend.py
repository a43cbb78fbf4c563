"""A folder for each task in use, with the rows of its intermediate task or without any."""

from __future__ import annotations

import shutil
from pathlib import Path

from stages import artifacts, paths
from stages import task as task_files
from stages.errors import StageError
from stages.params import Params
from stages.task import Intermediate

METHOD = "full"
"""What an intermediate task is fitted with: all weights are trained (Phang et al. 2018, STILTs, §3)."""

LENT = (task_files.FILE, "train.parquet", "validation.parquet")
"""What is held out for the test stays where it is."""


def lend(settings: Params) -> None:
    """Write data/intermediate.

    Raises:
        StageError: a file of an intermediate task is missing, or `params.yaml` describes no method for it.
    """
    with artifacts.atomic_folder(paths.INTERMEDIATE) as folder:
        for task in settings.tasks:
            (folder / task).mkdir()
            found = _lend(settings, settings.finetune.intermediate.get(task), folder / task)
            artifacts.write_json(folder / task / task_files.INTERMEDIATE, found.model_dump())


def _lend(settings: Params, task: str | None, target: Path) -> Intermediate:
    """Copy a task's files, if there is a task."""
    if task is None:
        return Intermediate()
    if METHOD not in settings.methods:
        raise StageError(
            f"params.yaml: methods has no {METHOD!r}, which finetune.intermediate needs: describe it there"
        )
    for name in LENT:
        source = paths.task(task) / name
        if not source.is_file():
            raise StageError(f"{source} is missing: run `dvc repro` to make it")
        shutil.copyfile(source, target / name)
    return Intermediate(task=task, options=settings.methods[METHOD])
