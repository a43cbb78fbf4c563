"""Gathering what each entry of ``objectives`` needs of its own, into one folder each.

One stage does it for all: an entry's folder changes only when its own content does, so a change to a task's examples
makes no objective run again that never reads them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from stages import artifacts, paths, token_store
from stages import task as task_files
from stages.errors import StageError
from stages.gather import checkpoints
from stages.params import Params
from stages.pretrain import curriculum, labelled, material, start
from stages.pretrain.curriculum import Curriculum
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.encode import pack
from stages.tokenizer.special import SEP_ID
from stages.tokenizer.vocabulary import Vocabulary

LISTING = "gathered.json"
PARTS = ("train", "validation")


def gather(settings: Params) -> None:
    """Write data/gathered: a folder for each listed objective.

    Raises:
        StageError: an entry is not as it should be, or something that it needs cannot be had.
    """
    vocabulary = Vocabulary.of(tokenizer_files.load(paths.TOKENIZER), settings.tokenizer.vocab_size)
    with artifacts.atomic_folder(paths.GATHERED) as folder:
        for name in settings.pretrain.objectives:
            target = folder / name
            target.mkdir()
            found = _gather(settings, curriculum.read(settings, name, vocabulary), target)
            artifacts.write_json(target / LISTING, found)


def _gather(settings: Params, entry: Curriculum, target: Path) -> dict[str, Any]:
    """Fill an entry's folder; tells what is in it."""
    reads_labels = any(phase.objective.reads_labels for phase in entry.phases)
    if entry.start:
        (target / start.FOLDER).mkdir()
        checkpoints.fetch(entry.start, settings.checkpoints[entry.start], target / start.FOLDER)
    tasks = _tasks(settings) if reads_labels else []
    if tasks:
        _copy_examples(tasks, target / labelled.FOLDER)
    corpora = list(dict.fromkeys(phase.corpus for phase in entry.phases if phase.corpus))
    for name in corpora:
        _pack(paths.CORPORA / name, target / material.CORPORA / name)
    return {"start": entry.start, "tasks": tasks, "corpora": corpora}


def _pack(corpus: Path, target: Path) -> None:
    """A further corpus as token ids."""
    tokenizer = tokenizer_files.load(paths.TOKENIZER)
    for part in PARTS:
        pack(tokenizer, corpus / f"{part}.parquet", target / part)


def _tasks(settings: Params) -> list[str]:
    """Those whose labels are of whole texts, and so can be said in a few words.

    Raises:
        StageError: there are none.
    """
    found = [task for task in settings.tasks if task_files.read(task).family in ("classification", "regression")]
    if not found:
        raise StageError(
            "params.yaml: tasks: an objective in pretrain.objectives reads labels of whole texts, and these have none: "
            "add a task, or drop the objective"
        )
    return found


def _copy_examples(tasks: list[str], target: Path) -> None:
    """The encoded training and validation examples of tasks; what is held out for the test stays where it is."""
    for task in tasks:
        for part in PARTS:
            source = paths.encoded(task) / part
            if not source.is_dir():
                raise StageError(f"{source} is missing: run `dvc repro` to make it")
            shutil.copytree(source, target / task / part)
        artifacts.write_json(target / task / labelled.WORDING, _wording(task, target / task))


def _wording(task: str, folder: Path) -> dict[str, Any]:
    """How a task's name and its labels are said, as token ids: see `stages.pretrain.labelled.Task`."""
    tokenizer, names = tokenizer_files.load(paths.TOKENIZER), task_files.read(task).labels
    words = {str(index): name.replace("_", " ") for index, name in enumerate(names)}
    if not names:
        stores = [token_store.read(folder / part).labels for part in PARTS]
        scores = {labelled.said(score, is_score=True) for labels in stores if labels is not None for score in labels}
        words = {score: score for score in sorted(scores)}

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    targets = {key: [*ids(word), SEP_ID] for key, word in words.items()}
    return {"prompt": ids(f"{task.replace('_', ' ')} :"), "targets": targets}
