"""Scoring a model as it lies on disk, so that what is reported is what can be deployed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stages.finetune import examples, files, predictions, tasks
from stages.finetune.predict import Scorer, scores
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
    """Predict the validation and test examples, write the test predictions, return the figures.

    Args:
        model: loaded from ``folder``, whose tokenizer reads the texts.
        predicted: folder to write the predictions to.
        run: what else belongs into ``run.json``: which model this is, its number of parameters.
    """
    tokenization = Tokenization.of(folder, classifier.load_config(folder).max_length)
    validation = examples.validation(task, tokenization, settings)
    test = examples.load(task, "test", tokenization)
    family = tasks.read(task)
    chosen_by = family.figures(validation.labels, scores(model, family, validation, dtype))
    on_test = scores(model, family, test, dtype)
    predictions.write(
        predicted, task, family, test.labels, on_test, {**run, "bytes": files.size(folder), "validation": chosen_by}
    )
    measured = family.figures(test.labels, on_test)
    return {f"validation.{name}": value for name, value in chosen_by.items()} | {
        f"test.{name}": value for name, value in measured.items()
    }
