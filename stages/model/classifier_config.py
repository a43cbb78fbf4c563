"""What a tuned model reads of its backbone, and what for, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stages.model.generation import Search
from stages.params import Pooling

Finish = Literal["norm", "pooler", "none"]
"""What a pooled state goes through: a norm without weights, the layer that a checkpoint brings for it, nothing."""


@dataclass(frozen=True)
class ClassifierConfig:
    """What is read from the backbone, and what for.

    Attributes:
        labels: names of the classes, in the order of the outputs; none if the one output is a score.
        depths: whose hidden states are pooled; 0 is the embeddings.
        max_length: longer texts are cut, in tokens.
        pooling: what the states of a text become one by.
        finish: what that one goes through.
        family: of the task, `stages.metrics.FAMILIES`; None is that of single texts, by whether there are labels.
        silent: whether a question may have no answer.
        search: how texts are looked for that are written in answer.
    """

    labels: tuple[str, ...]
    depths: tuple[int, ...]
    max_length: int
    pooling: Pooling = "mean"
    finish: Finish = "norm"
    family: str | None = None
    silent: bool = False
    search: Search | None = None

    @property
    def asked(self) -> str:
        """The family of the task."""
        return self.family or ("classification" if self.labels else "regression")

    @property
    def outputs(self) -> int:
        """How many numbers there are for a text."""
        return len(self.labels) or 1
