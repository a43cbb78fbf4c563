"""What a task is, beside its texts: ``data/tasks/<task>/task.json``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages import artifacts, metrics, paths
from stages.params import Section, Source, SourceTask, Target, parse

FILE, INTERMEDIATE = "task.json", "intermediate.json"


class FurtherSet(Section):
    """A further set as the models are asked it: see `stages.params.Further`."""

    labelled: bool
    answers: Literal["index", "name"]
    bounds: tuple[float, float] | None


class Task(Section):
    """Its family (`stages.metrics.FAMILIES`), the names of its classes, and the metric that models are compared by.

    ``labels`` is empty where labels are scores. ``template`` and ``words``, one a label, are what a language model is
    asked without any tuning (`stages.params.Prompt`). ``further`` describes its further sets.
    ``silent`` is whether the right answer may be none at all; ``target`` is how texts are written in answer.
    """

    family: str
    labels: tuple[str, ...]
    metric: str
    template: str = "{text} : {word}."
    words: tuple[str, ...] = ()
    further: dict[str, FurtherSet] = Field(default_factory=dict)
    silent: bool = False
    target: Target | None = None


class Intermediate(Section):
    """What a task's models are fitted to before they are fitted to it: ``data/intermediate/<task>/intermediate.json``.

    ``options`` are those of the method that does it. Without a ``task`` there is nothing of the kind.
    """

    task: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def describe(source: Source, entry: SourceTask, labelled: Collection[str] = ()) -> Task:
    """A task as `params.yaml` has it, with what it leaves open filled in; ``labelled``: which further sets are."""
    labels = ("start", "end") if source.answers else tuple(source.labels)
    said = entry.prompt.words if entry.prompt else {label: label.replace("_", " ") for label in labels}
    words = () if source.tags or source.answers else tuple(said[label] for label in labels)
    template = "{text} : {word}." if len(source.text) == 1 else "{text} {text_pair} : {word}."
    return Task(
        family=source.family,
        labels=labels,
        metric=entry.metric or metrics.of(source.family).names[0],
        template=entry.prompt.template if entry.prompt else template,
        words=words,
        silent=source.answers == "sometimes",
        target=source.target,
        further={
            name: FurtherSet(labelled=name in labelled, answers=item.answers, bounds=item.bounds)
            for name, item in entry.further.items()
        },
    )


def write(folder: Path, task: Task) -> None:
    """Write ``task.json``; of what few tasks have it speaks only if they do."""
    unsaid = {name for name in ("further", "silent", "target") if not getattr(task, name)}
    artifacts.write_json(folder / FILE, task.model_dump(exclude=unsaid))


def read(name: str) -> Task:
    """What the split stage wrote.

    Raises:
        StageError: it is missing or damaged.
    """
    return read_from(paths.task(name))


def read_from(folder: Path) -> Task:
    """What `write` wrote.

    Raises:
        StageError: it is missing or damaged.
    """
    path = folder / FILE
    return parse(Task, artifacts.read_json(path), str(path))
