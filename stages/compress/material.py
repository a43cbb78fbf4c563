"""The examples that a selected model was fitted to, for those compressors that look at data."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from stages import artifacts, paths, record
from stages.compress import unlabelled
from stages.compress.base import Material
from stages.compress.cell import Cell
from stages.finetune import tasks
from stages.finetune.tokenization import Tokenization
from stages.model import classifier
from stages.params import Params
from stages.training import precision
from stages.training.loop import Observer


def gather(settings: Params, cell: Cell, observer: Observer) -> Material:
    """What the compressors of an entry of `params.yaml` may look at.

    Raises:
        StageError: a file of the model or of the task is missing or damaged, or a split is empty.
    """
    task, source, family = cell.task, cell.source, tasks.read(cell.task)
    seed = record.read(source).seed
    tokenization = Tokenization.of(source, classifier.load_config(source).max_length)
    return Material(
        source=source,
        train=family.examples(task, "train", tokenization, settings.finetune.max_train_examples, seed),
        validation=family.validation(task, tokenization, settings.finetune),
        texts=partial(unlabelled.read, tokenization, seed),
        family=family,
        seed=seed,
        dtype=precision.set_up(settings.engine),
        observer=observer,
        checkpoints=cell.checkpoints,
        inputs=_inputs(settings, cell),
    )


def _read(cell: Cell) -> list[Path]:
    return [paths.CORPUS, paths.encoded(cell.task), paths.task(cell.task), cell.source]


def _inputs(settings: Params, cell: Cell) -> dict[str, object]:
    """All that decides what is trained."""
    limits = settings.finetune
    return {
        "compressor": settings.compressors[cell.compressor],
        "engine": settings.engine.model_dump(),
        "examples": [limits.max_train_examples, limits.max_validation_examples],
        "data": [artifacts.md5(path) for path in _read(cell)],
    }
