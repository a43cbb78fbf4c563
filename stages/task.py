"""What a task is, beside its texts: ``data/tasks/<task>/task.json``."""

from __future__ import annotations

from stages import artifacts, metrics, paths
from stages.params import Section, Source, SourceTask, parse

FILE = "task.json"


class Task(Section):
    """Its family (`stages.metrics.FAMILIES`), the names of its classes, and the metric that models are compared by.

    ``labels`` is empty where labels are scores. ``template`` and ``words``, one a label, are what a language model is
    asked without any tuning (`stages.params.Prompt`).
    """

    family: str
    labels: tuple[str, ...]
    metric: str
    template: str = "{text} : {word}."
    words: tuple[str, ...] = ()


def describe(source: Source, entry: SourceTask) -> Task:
    """A task as `params.yaml` has it, with what it leaves open filled in."""
    labels = tuple(source.labels)
    words = tuple(entry.prompt.words[label] if entry.prompt else label.replace("_", " ") for label in labels)
    template = "{text} : {word}." if len(source.text) == 1 else "{text} {text_pair} : {word}."
    return Task(
        family=source.family,
        labels=labels,
        metric=entry.metric or metrics.of(source.family).names[0],
        template=entry.prompt.template if entry.prompt else template,
        words=words,
    )


def read(name: str) -> Task:
    """What the split stage wrote.

    Raises:
        StageError: it is missing or damaged.
    """
    path = paths.task(name) / FILE
    return parse(Task, artifacts.read_json(path), str(path))
