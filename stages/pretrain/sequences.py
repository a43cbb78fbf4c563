"""The packed corpus as equal sequences, and the order in which a run sees them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.errors import StageError
from stages.model import visibility
from stages.token_store import TokenStore
from stages.tokenizer.special import SEP_ID
from stages.training import randomness


class Text(NamedTuple):
    """A batch of text without padding.

    Attributes:
        input_ids: (batch, length), int64.
        documents: the number of the document that each token belongs to, counted within its row (batch, length); None
            where documents may see each other.
    """

    input_ids: Tensor
    documents: Tensor | None

    @property
    def attention_mask(self) -> Tensor | None:
        """Who may see whom, as `stages.model.transformer.Transformer.forward` takes it."""
        return None if self.documents is None else visibility.within(self.documents)


class Reader(Protocol):
    """Rows of a corpus that an objective is given, by index."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, indices: NDArray[np.int64], generator: torch.Generator) -> object:
        """A batch of the rows at these indices; what is drawn for it comes from ``generator``."""


class Sequences:
    """A token stream cut into windows of equal length; texts run on across windows, nothing is padded."""

    def __init__(self, store: TokenStore, length: int, key: str, *, document_mask: bool = False) -> None:
        """
        Args:
            store: the packed corpus; each text ends in [SEP].
            length: of a window.
            key: what the store is called in an error.
            document_mask: whether batches tell documents apart, so that they do not attend to each other.

        Raises:
            StageError: the corpus is shorter than one window.
        """
        self.length = length
        self._windows = len(store.tokens) // length
        self._tokens, self._document_mask = store.tokens, document_mask
        if not self._windows:
            raise StageError(
                f"{key}: {len(store.tokens)} tokens are fewer than one sequence of {length}: add sources to "
                "data.sources or lower pretrain.sequence_length"
            )

    def __len__(self) -> int:
        return self._windows

    def take(self, indices: NDArray[np.int64], generator: torch.Generator) -> Text:
        """Windows by index; nothing is drawn."""
        rows = [self._tokens[i * self.length : (i + 1) * self.length] for i in indices]
        input_ids = torch.from_numpy(np.stack(rows).astype(np.int64))
        return Text(input_ids, _documents(input_ids) if self._document_mask else None)


def _documents(input_ids: Tensor) -> Tensor:
    """How many documents have ended before each token; [SEP] belongs to the one that it ends."""
    ends = (input_ids == SEP_ID).long()
    return ends.cumsum(1) - ends


class Order:
    """The rows of batch ``step`` of an endless run over a reader, each epoch in an order of its own.

    It depends on the seed and the epoch alone, so all objectives of one seed that read the same rows see the same text.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self._rows, self._batch_size, self._seed = rows, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> NDArray[np.int64]:
        first = step * self._batch_size
        return np.array([self._index(first + i) for i in range(self._batch_size)])

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, self._rows)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = randomness.numpy_generator(self._seed, "order", epoch).permutation(self._rows)
        return int(self._order[place])
