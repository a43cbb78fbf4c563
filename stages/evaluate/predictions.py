"""Reading a model's predictions, and refusing what cannot be a full set of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.errors import StageError

SUM_TOLERANCE = 1e-2
"""How far the probabilities of an example may be from one; they are float32, or of a quantized model."""


@dataclass(frozen=True)
class Predictions:
    """One model's answers on a split, ordered by the examples' ids."""

    ids: NDArray[np.object_]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    classes: int


def read(path: Path) -> Predictions:
    """Read ``predictions.parquet``: columns id, label, prediction and score_0, score_1, … (probabilities).

    Raises:
        StageError: the file is missing or damaged, or holds no answers that can be scored.
    """
    table = _table(path)
    scores = _scores(table, path)
    ids, labels, predictions = (table[name].to_numpy() for name in ("id", "label", "prediction"))
    classes = scores.shape[1]
    if not np.isfinite(scores).all():
        raise StageError(f"{path} holds probabilities that are not finite: the model diverged; lower its learning rate")
    if np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise StageError(f"{path} holds scores that are no probabilities: those of an example must sum to 1")
    if min(labels.min(), predictions.min()) < 0 or max(labels.max(), predictions.max()) >= classes:
        raise StageError(f"{path} holds labels outside of its {classes} classes")
    order = np.argsort(ids, kind="stable")
    if (ids[order][1:] == ids[order][:-1]).any():
        raise StageError(f"{path} holds an id twice: each test example must have one prediction")
    return Predictions(ids[order], labels[order], predictions[order], classes)


def _table(path: Path) -> pa.Table:
    """The whole file, without empty cells and with at least one row."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StageError(f"{path} is not readable ({error}): remove it and run `dvc repro`") from None
    if missing := {"id", "label", "prediction", "score_0", "score_1"} - set(table.column_names):
        raise StageError(f"{path} has no column {', '.join(sorted(missing))}")
    if not table.num_rows or any(column.null_count for column in table.columns):
        raise StageError(f"{path} has no rows, or empty cells")
    return table


def _scores(table: pa.Table, path: Path) -> NDArray[np.float64]:
    names = [name for name in table.column_names if name.startswith("score_")]
    if names != [f"score_{index}" for index in range(len(names))]:
        raise StageError(f"{path} must have its scores as score_0, score_1, … in this order, not {', '.join(names)}")
    return np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
