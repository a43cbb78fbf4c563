"""What a task is, beside its texts: ``data/tasks/<task>/task.json``."""

from __future__ import annotations

from stages import artifacts, paths
from stages.params import Section, parse

FILE = "task.json"


class Task(Section):
    """Its family (`stages.metrics.FAMILIES`), the names of its classes, and the metric that models are compared by.

    ``labels`` is empty where labels are scores.
    """

    family: str
    labels: tuple[str, ...]
    metric: str


def read(name: str) -> Task:
    """What the split stage wrote.

    Raises:
        StageError: it is missing or damaged.
    """
    path = paths.task(name) / FILE
    return parse(Task, artifacts.read_json(path), str(path))
