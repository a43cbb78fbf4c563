"""The score that a model has on the validation examples of today."""

from __future__ import annotations

from pathlib import Path

from stages.errors import StageError
from stages.finetune import tasks
from stages.finetune.predict import scores
from stages.finetune.tokenization import Tokenization
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
    family = tasks.read(task)
    try:
        config = classifier.load_config(folder)
        tokenization, model = Tokenization.of(folder, config.max_length), predictor.load(folder)
    except (StageError, RuntimeError) as error:  # torch's own, of weights of another shape
        raise Incomparable(f"this code cannot read it: {str(error).partition(chr(10))[0]}") from None
    if config.labels != family.task.labels:
        raise Incomparable(f"it knows other classes: {', '.join(config.labels) or 'none'}")
    validation = family.validation(task, tokenization, settings.finetune)
    rows = scores(model, family, validation, precision.set_up(settings.engine))
    return family.figures(validation.labels, rows)["score"]
