"""One compressed model: of which task, made of which model, by which entry of `params.yaml`, and where it all lies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stages import paths


class Cell(NamedTuple):
    """A task, one of `compress.models`, and one of `compress.compressors`."""

    task: str
    model: str
    compressor: str

    @property
    def source(self) -> Path:
        """The selected model."""
        return paths.selected(self.task, self.model)

    @property
    def target(self) -> Path:
        """What is made of it."""
        return paths.compressed(*self)

    @property
    def predictions(self) -> Path:
        """What that answers."""
        return paths.compressed_predictions(*self)

    @property
    def checkpoints(self) -> Path:
        """Where what is trained keeps its state."""
        return paths.STATE.joinpath("checkpoints", "compress", *self)
