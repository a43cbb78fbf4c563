"""Answers to a further set whose labels are hidden, as the server of a leaderboard reads them.

The format is GLUE's (Wang et al. 2019, gluebenchmark.com/faq): a tsv of one row an example, numbered from 0 in the
set's own order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.finetune.tasks.base import Family
from stages.metrics.base import Answers
from stages.task import FurtherSet


def write(path: Path, family: Family, asked: FurtherSet, scores: NDArray[np.float32]) -> None:
    """Write a header and the answers; ``scores`` (examples, outputs) are in the set's order."""
    said = _said(family, family.predictions(scores), asked)
    rows = ["index\tprediction", *(f"{index}\t{answer}" for index, answer in enumerate(said))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8", newline="")


def _said(family: Family, answers: Answers, asked: FurtherSet) -> list[str]:
    labels = family.task.labels
    if not family.pooled:
        return answers.tolist()
    if not labels:
        bounded = answers if asked.bounds is None else answers.clip(*asked.bounds)
        return [f"{score:.5f}" for score in bounded]
    return [labels[answer] if asked.answers == "name" else str(answer) for answer in answers]
