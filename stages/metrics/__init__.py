"""What a task's answers are worth: the metrics of each family of tasks, and the names that `params.yaml` may use."""

from __future__ import annotations

from stages.errors import StageError
from stages.metrics.base import Metrics
from stages.metrics.classification import Classification
from stages.metrics.generation import Generation
from stages.metrics.question_answering import QuestionAnswering
from stages.metrics.regression import Regression
from stages.metrics.token_classification import TokenClassification

FAMILIES: dict[str, Metrics] = {
    "classification": Classification(),
    "regression": Regression(),
    "token_classification": TokenClassification(),
    "question_answering": QuestionAnswering(),
    "generation": Generation(),
}


def of(family: str) -> Metrics:
    """The metrics of a family of tasks.

    Raises:
        StageError: there is no such family.
    """
    if family not in FAMILIES:
        raise StageError(f"{family!r} is no family of tasks; there are: {', '.join(FAMILIES)}")
    return FAMILIES[family]
