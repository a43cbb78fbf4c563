"""A model's score on validation, and on what it was measured: two scores of different examples tell nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages import artifacts, paths, task
from stages.params import Params
from stages.tokenizer import encode

PREFIX = "validation."


@dataclass(frozen=True)
class Yardstick:
    """The validation examples in use and the metric.

    Attributes:
        md5: of the task's validation texts and labels.
        examples: how many of them are used; which ones follows from that.
        metric: what the task is judged by.
    """

    md5: str
    examples: int
    metric: str

    @property
    def tags(self) -> dict[str, str]:
        """As tags of a model."""
        return {PREFIX + name: str(value) for name, value in vars(self).items()}


def present(settings: Params, name: str) -> Yardstick:
    """That of a task as it is now.

    Raises:
        StageError: the task is missing or damaged.
    """
    table = paths.task(name) / "validation.parquet"
    examples = min(encode.count(table), settings.finetune.max_validation_examples)
    return Yardstick(artifacts.md5(table), examples, task.read(name).metric)


@dataclass(frozen=True)
class Judgement:
    """A score by a yardstick."""

    value: float
    yardstick: Yardstick

    @property
    def tags(self) -> dict[str, str]:
        """As tags of a model, in full precision."""
        return {**self.yardstick.tags, PREFIX + "score": repr(self.value)}

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether a model that has these tags was measured by the same yardstick."""
        return self.yardstick.tags.items() <= tags.items() and PREFIX + "score" in tags


def recorded(tags: Mapping[str, str]) -> float:
    """The score in a model's tags."""
    return float(tags[PREFIX + "score"])
