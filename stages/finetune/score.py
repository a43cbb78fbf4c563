"""Scoring a model as it lies on disk, so that what is reported is what can be deployed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stages.finetune import files, predictions, tasks
from stages.finetune.examples import Examples
from stages.finetune.predict import Scorer, scores
from stages.finetune.predictions import Answered
from stages.finetune.tokenization import Tokenization
from stages.model import classifier
from stages.params import Finetune


def score(
    model: Scorer,
    dtype: torch.dtype,
    settings: Finetune,
    *,
    task: str,
    folder: Path,
    predicted: Path,
    run: Mapping[str, Any],
) -> dict[str, float]:
    """Predict the validation, test and further examples, write all but the first, return the figures.

    Args:
        model: loaded from ``folder``, whose tokenizer reads the texts.
        predicted: folder to write the predictions to.
        run: what else belongs into ``run.json``: which model this is, its number of parameters.
    """
    tokenization = Tokenization.of(folder, classifier.load_config(folder).max_length)
    family = tasks.read(task)

    def answer(asked: Examples) -> Answered:
        return Answered(asked.labels, scores(model, family, asked, dtype))

    validation = answer(family.validation(task, tokenization, settings))
    test = answer(family.examples(task, "test", tokenization))
    further = {name: answer(family.further(task, name, tokenization)) for name in family.task.further}
    chosen_by = family.figures(validation.labels, validation.scores)
    record = {**run, "bytes": files.size(folder), "validation": chosen_by}
    predictions.write(predicted, task, family, test, further, record)
    known = {name: answered for name, answered in further.items() if family.task.further[name].labelled}
    return {
        f"{split}.{name}": value
        for split, answered in {"validation": validation, "test": test, **known}.items()
        for name, value in family.figures(answered.labels, answered.scores).items()
    }
