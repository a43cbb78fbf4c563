"""The registry of families of downstream tasks, one file each; their metrics are in `stages.metrics`."""

from __future__ import annotations

from stages import task
from stages.errors import StageError
from stages.finetune.tasks.base import Family
from stages.finetune.tasks.classification import Classification
from stages.finetune.tasks.generation import Generation
from stages.finetune.tasks.question_answering import QuestionAnswering
from stages.finetune.tasks.regression import Regression
from stages.finetune.tasks.token_classification import TokenClassification
from stages.task import Task

FAMILIES: dict[str, type[Family]] = {
    "classification": Classification,
    "regression": Regression,
    "token_classification": TokenClassification,
    "question_answering": QuestionAnswering,
    "generation": Generation,
}


def read(name: str) -> Family:
    """The family of a task, knowing its labels.

    Raises:
        StageError: the task is missing or damaged.
    """
    return of(name, task.read(name))


def of(name: str, described: Task) -> Family:
    """The family of a task that was read.

    Raises:
        StageError: there is none.
    """
    if described.family not in FAMILIES:
        raise StageError(f"task {name}: nothing here learns {described.family!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[described.family](described)
