"""Reading a model's predictions, and refusing what cannot be a full set of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.errors import StageError
from stages.metrics.base import Answers

SCORES = ("id", "label", "prediction")
CLASSES = (*SCORES, "score_0", "score_1")
"""Columns that there are at least."""

SUM_TOLERANCE = 1e-2
"""How far the probabilities of an example may be from one; they are float32, or of a quantized model."""


@dataclass(frozen=True)
class Predictions:
    """One model's answers on a split, ordered by the examples' ids; no `classes` where answers are scores."""

    ids: NDArray[np.object_]
    labels: Answers
    predictions: Answers
    classes: int


def read(path: Path, family: str) -> Predictions:
    """Read ``predictions.parquet``: columns id, label, prediction, and of classes score_0, … (probabilities).

    Raises:
        StageError: the file is missing or damaged, or holds no answers that can be scored.
    """
    table = _table(path, CLASSES if family == "classification" else SCORES)
    ids, labels, predictions = (table[name].to_numpy() for name in SCORES)
    classes = _check_classes(table, path) if family == "classification" else 0
    if labels.dtype != np.object_ and not (np.isfinite(labels).all() and np.isfinite(predictions).all()):
        raise StageError(f"{path} holds predictions that are not finite: the model diverged; lower its learning rate")
    order = np.argsort(ids, kind="stable")
    if (ids[order][1:] == ids[order][:-1]).any():
        raise StageError(f"{path} holds an id twice: each test example must have one prediction")
    return Predictions(ids[order], labels[order], predictions[order], classes)


def _check_classes(table: pa.Table, path: Path) -> int:
    """How many classes there are, of which labels and predictions must be some and probabilities add up to one."""
    scores = _scores(table, path)
    labels, predictions = (table[name].to_numpy() for name in ("label", "prediction"))
    classes = scores.shape[1]
    if not np.isfinite(scores).all():
        raise StageError(f"{path} holds probabilities that are not finite: the model diverged; lower its learning rate")
    if np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise StageError(f"{path} holds scores that are no probabilities: those of an example must sum to 1")
    if min(labels.min(), predictions.min()) < 0 or max(labels.max(), predictions.max()) >= classes:
        raise StageError(f"{path} holds labels outside of its {classes} classes")
    return classes


def _table(path: Path, columns: Sequence[str]) -> pa.Table:
    """The whole file, with these columns, without empty cells and with at least one row."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StageError(f"{path} is not readable ({error}): remove it and run `dvc repro`") from None
    if missing := [name for name in columns if name not in table.column_names]:
        raise StageError(f"{path} has no column {', '.join(missing)}")
    if not table.num_rows or any(column.null_count for column in table.columns):
        raise StageError(f"{path} has no rows, or empty cells")
    return table


def _scores(table: pa.Table, path: Path) -> NDArray[np.float64]:
    names = [name for name in table.column_names if name.startswith("score_")]
    if names != [f"score_{index}" for index in range(len(names))]:
        raise StageError(f"{path} must have its scores as score_0, score_1, … in this order, not {', '.join(names)}")
    return np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
