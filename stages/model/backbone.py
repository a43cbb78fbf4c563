"""What a classifier stands on: this project's Transformer, or a checkpoint of transformers' own architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stages.model import files, imported
from stages.model.dropout import Dropout
from stages.model.imported import Imported
from stages.model.transformer import Transformer


class Backbone(Protocol):
    """Token ids in, hidden states of every depth out."""

    @property
    def device(self) -> torch.device:
        """Where it computes; what it is given may lie elsewhere."""

    @property
    def hidden_size(self) -> int:
        """Width of the states."""

    @property
    def depths(self) -> range:
        """All depths that can be pooled, the embeddings first."""

    @property
    def positions(self) -> int | None:
        """How many tokens a text may have; None where that has no end."""

    def shrink_embeddings(self) -> None:
        """Bring embeddings to their initial size, where a norm hides it; before all weights are trained."""

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        dtype: torch.dtype,
        depth: int,
        *,
        dropout: Dropout | None = None,
    ) -> tuple[Tensor, ...]:
        """States (batch, length, hidden_size) up to ``depth``, computed in ``dtype``; parameters stay fp32."""


def load(folder: Path) -> Transformer | Imported:
    """Open a pre-trained model, whoever trained it.

    Raises:
        StageError: a file is missing or damaged, or transformers has no such architecture.
    """
    return files.load(folder).model if files.is_own(folder) else imported.load(folder)


def empty(folder: Path) -> Transformer | Imported:
    """A model of the shape that a folder's ``config.json`` describes, whose weights are still to be loaded."""
    return Transformer(files.load_config(folder)) if files.is_own(folder) else imported.empty(folder)
