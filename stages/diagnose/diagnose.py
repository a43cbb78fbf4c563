"""All that is found out of one task's selected model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from stages import paths, record
from stages import task as task_files
from stages.corpus.tables import TEXT_COLUMNS
from stages.diagnose import attribution, bias, mistakes, robustness
from stages.diagnose.asking import probabilities
from stages.diagnose.calibration import calibration
from stages.diagnose.schema import Diagnosis
from stages.params import Diagnose
from stages.predict.predictor import Predictor
from stages.training import randomness


def diagnose(task: str, folder: Path, settings: Diagnose) -> Diagnosis:
    """On test examples that are the same for every model of the task.

    Raises:
        StageError: the model or the task is missing or damaged.
    """
    described, model = task_files.read(task), record.read(folder).original
    if described.family != "classification":
        return Diagnosis(task=task, model=model, labels=[], reason=f"its answers are those of {described.family}")
    table = pq.read_table(paths.task(task) / "test.parquet")
    rows = table.take(randomness.sample(len(table), settings.max_examples, 0))
    columns = [rows[name].to_pylist() for name in TEXT_COLUMNS if name in rows.column_names]
    texts, labels = list(zip(*columns, strict=True)), rows["label"].to_numpy()
    predictor = Predictor(folder)
    found = probabilities(predictor, texts)
    few = slice(settings.texts)
    return Diagnosis(
        task=task,
        model=model,
        labels=list(predictor.labels),
        examples=len(texts),
        calibration=calibration(found, labels),
        disturbed=robustness.disturbed(predictor, texts, labels, found.argmax(1)),
        swapped=bias.swapped(predictor, texts),
        mistakes=mistakes.mistakes(rows["id"].to_pylist(), texts, labels, found, predictor.labels, settings.texts),
        attributions=attribution.attributions(
            predictor, texts[few], np.asarray(labels[few]).tolist(), predictor.labels
        ),
    )
