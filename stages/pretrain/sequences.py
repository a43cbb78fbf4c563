"""The packed corpus as equal sequences, and the order in which a run sees them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.errors import StageError
from stages.token_store import TokenStore
from stages.training import randomness


class Sequences:
    """A token stream cut into windows of equal length; texts run on across windows, nothing is padded."""

    def __init__(self, store: TokenStore, length: int, key: str) -> None:
        """
        Raises:
            StageError: the corpus (``key`` names it) is shorter than one window.
        """
        self.length = length
        self._windows = len(store.tokens) // length
        self._tokens = store.tokens
        if not self._windows:
            raise StageError(
                f"{key}: {len(store.tokens)} tokens are fewer than one sequence of {length}: add sources to "
                "data.sources or lower pretrain.sequence_length"
            )

    def __len__(self) -> int:
        return self._windows

    def take(self, indices: NDArray[np.int64]) -> Tensor:
        """Windows by index, int64 (len(indices), length)."""
        rows = [self._tokens[i * self.length : (i + 1) * self.length] for i in indices]
        return torch.from_numpy(np.stack(rows).astype(np.int64))


class ShuffledBatches:
    """Batch ``step`` of an endless run over all windows, each epoch in an order of its own.

    The order depends on the seed and the epoch alone, so all objectives of one seed see the same text.
    """

    def __init__(self, sequences: Sequences, batch_size: int, seed: int) -> None:
        self._sequences, self._batch_size, self._seed = sequences, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> Tensor:
        first = step * self._batch_size
        return self._sequences.take(np.array([self._index(first + i) for i in range(self._batch_size)]))

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, len(self._sequences))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = randomness.numpy_generator(self._seed, "order", epoch).permutation(len(self._sequences))
        return int(self._order[place])
