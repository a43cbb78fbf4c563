"""What a classifier stands on: this project's Transformer, or a checkpoint of transformers' own architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stages.model import files, imported
from stages.model.dropout import Dropout
from stages.model.imported import Imported
from stages.model.transformer import EncoderDecoder, Seq2Seq, Transformer
from stages.params import Pooling


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
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """States (batch, length, hidden_size) up to ``depth``, computed in ``dtype``; parameters stay fp32.

        ``first``: of the last layer only each text's first state is wanted; from there on others may be left out.
        """


def load(folder: Path, pooling: Pooling = "mean") -> Transformer | Imported:
    """Open a pre-trained model, whoever trained it; of an encoder–decoder the encoder, but both for its last state.

    Raises:
        StageError: a file is missing or damaged, or transformers has no such architecture.
    """
    if not files.is_own(folder):
        return imported.load(folder, decodes=pooling == "last")
    model = files.load(folder)
    return Seq2Seq.of(model) if isinstance(model, EncoderDecoder) and pooling == "last" else model.model


def empty(folder: Path, pooling: Pooling = "mean") -> Transformer | Imported:
    """A model of the shape that a folder's ``config.json`` describes, whose weights are still to be loaded."""
    if not files.is_own(folder):
        return imported.empty(folder, decodes=pooling == "last")
    config = files.load_config(folder)
    return Seq2Seq(config) if config.num_decoder_layers and pooling == "last" else Transformer(config)
