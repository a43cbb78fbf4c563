"""What a fitted model says on the test split and on further sets, in the form that evaluation reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import paths, record
from stages.artifacts import atomic_folder, write_json
from stages.corpus.tables import FURTHER
from stages.finetune import leaderboard
from stages.finetune.tasks.base import Family
from stages.metrics.base import Answers


@dataclass(frozen=True)
class Answered:
    """A whole set that was answered, in its order: labels (examples,), and scores (examples, outputs)."""

    labels: Answers
    scores: NDArray[np.float32]


def write(
    folder: Path, task: str, family: Family, test: Answered, further: Mapping[str, Answered], run: Mapping[str, Any]
) -> None:
    """Write ``predictions.parquet`` (id, label, prediction, and of classes score_0, …) and ``run.json``.

    Of further sets, write ``further/<set>.parquet`` with the same columns, or ``<set>.tsv`` where labels are hidden.

    Args:
        run: which model this was, its sizes and its validation figures.
    """
    asked = {"task": task, "split": "test", "family": family.task.family, "metric": family.task.metric}
    with atomic_folder(folder) as temporary:
        _write_table(temporary / "predictions.parquet", paths.task(task) / "test.parquet", family, test)
        for name, answered in further.items():
            if family.task.further[name].labelled:
                target = temporary / FURTHER / f"{name}.parquet"
                target.parent.mkdir(exist_ok=True)
                _write_table(target, paths.task(task) / FURTHER / target.name, family, answered)
            else:
                leaderboard.write(temporary / f"{name}.tsv", family, family.task.further[name], answered.scores)
        write_json(temporary / record.FILE, asked | dict(run))


def _write_table(target: Path, asked: Path, family: Family, answered: Answered) -> None:
    """Answers beside the ids of the rows that were ``asked``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    scores = answered.scores
    columns: dict[str, Any] = {"id": pq.read_table(asked, columns=["id"]).column("id").combine_chunks()}
    columns |= {"label": answered.labels, "prediction": family.predictions(scores)}
    if family.pooled:
        columns |= {f"score_{index}": scores[:, index] for index in range(len(family.task.labels))}
    pq.write_table(pa.table(columns), target)
