"""One cell of the matrix that fine-tuning is: which model is fitted to which task, how, and where that lies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stages import paths


class Cell(NamedTuple):
    """A task, and an objective, a method and a seed of `params.yaml`."""

    task: str
    objective: str
    method: str
    seed: int

    @property
    def model(self) -> Path:
        """Where the tuned model goes."""
        return paths.finetuned(self.task, self.objective, self.method, self.seed)

    @property
    def predictions(self) -> Path:
        """Where its answers go."""
        return paths.PREDICTIONS / "finetuned" / self.task / self.model.name

    @property
    def curve(self) -> Path:
        """Where its validation scores on the way go."""
        return paths.CURVES / "finetune" / self.task / f"{self.model.name}.csv"

    @property
    def inputs(self) -> list[Path]:
        """What it is made from."""
        data = [paths.encoded(self.task), paths.intermediate(self.task), paths.task(self.task)]
        return [*data, paths.pretrained(self.objective, self.seed), paths.TOKENIZER]
