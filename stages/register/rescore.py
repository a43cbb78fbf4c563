"""How good a model is on the validation examples of today, and by how much it leads another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import metrics
from stages.errors import StageError
from stages.evaluate.bootstrap import interval, replicates
from stages.finetune import tasks
from stages.finetune.predict import scores
from stages.finetune.tokenization import Tokenization
from stages.metrics.base import Answers
from stages.model import classifier
from stages.params import Params
from stages.predict import predictor
from stages.training import precision


class Incomparable(Exception):
    """A model that has no score on these examples; the message says why."""


def score(settings: Params, task: str, folder: Path) -> float:
    """By the metric of the task; computed as that of a model that is fine-tuned today.

    Raises:
        Incomparable: it answers another question, or this code cannot read it.
        StageError: the task is missing or damaged.
    """
    labels, rows = _answers(settings, task, folder)
    return tasks.read(task).figures(labels, rows)["score"]


def lead(settings: Params, task: str, folder: Path, other: Path) -> tuple[float, float]:
    """The interval, over the examples, of what the model in ``folder`` is better by than ``other``.

    Raises:
        Incomparable: one of them answers another question, or this code cannot read it.
        StageError: the task is missing or damaged.
    """
    family, asked = tasks.read(task), [_answers(settings, task, one) for one in (folder, other)]
    predictions = np.stack([family.predictions(rows) for _, rows in asked])
    measured, classes = metrics.of(family.task.family), len(family.task.labels)
    found = replicates(measured, asked[0][0], predictions, classes, settings.evaluate.bootstrap, f"register/{task}")
    ours, theirs = found[family.task.metric]
    lower, upper = interval(ours - theirs).tolist()
    return lower, upper


def _answers(settings: Params, task: str, folder: Path) -> tuple[Answers, NDArray[Any]]:
    """The labels of the validation examples in use, and what the model says of them."""
    family = tasks.read(task)
    try:
        config = classifier.load_config(folder)
        tokenization, model = Tokenization.of(folder, config.max_length), predictor.load(folder)
    except (StageError, RuntimeError) as error:  # torch's own, of weights of another shape
        raise Incomparable(f"this code cannot read it: {str(error).partition(chr(10))[0]}") from None
    if config.labels != family.task.labels:
        raise Incomparable(f"it knows other classes: {', '.join(config.labels) or 'none'}")
    validation = family.validation(task, tokenization, settings.finetune)
    return validation.labels, scores(model, family, validation, precision.set_up(settings.engine))
