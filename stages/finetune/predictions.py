"""What a fitted model says on the test split, in the form that evaluation reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages import paths
from stages.artifacts import atomic_folder, write_json
from stages.finetune.tasks.base import Family
from stages.metrics.base import Answers


def write(
    folder: Path, task: str, family: Family, labels: Answers, scores: NDArray[np.float32], run: Mapping[str, Any]
) -> None:
    """Write ``predictions.parquet`` (id, label, prediction, and of classes score_0, …) and ``run.json``.

    Args:
        labels: (examples,), of the whole test split, in its order.
        scores: (examples, outputs).
        run: which model this was, its sizes and its validation figures.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    identities = pq.read_table(paths.task(task) / "test.parquet", columns=["id"]).column("id").combine_chunks()
    columns: dict[str, Any] = {"id": identities, "label": labels, "prediction": family.predictions(scores)}
    columns |= {f"score_{index}": scores[:, index] for index in range(len(family.task.labels))}
    asked = {"task": task, "split": "test", "family": family.task.family, "metric": family.task.metric}
    with atomic_folder(folder) as temporary:
        pq.write_table(pa.table(columns), temporary / "predictions.parquet")
        write_json(
            temporary / "run.json",
            asked | dict(run),
        )
