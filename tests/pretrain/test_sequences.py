"""Windows and their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.errors import StageError
from stages.pretrain.sequences import Sequences, ShuffledBatches
from tests.pretrain.corpus import write


def test_an_epoch_shows_every_window_once(tmp_path: Path) -> None:
    """Whatever the batch size, and in another order each epoch and for each seed."""
    store = write(tmp_path / "store")
    sequences = Sequences(store, 16, "corpus")
    batches = ShuffledBatches(sequences, 4, seed=0)
    steps = -(-2 * len(sequences) // 4)
    rows = np.concatenate([batches[step].numpy() for step in range(steps)])
    epochs = rows[: len(sequences)], rows[len(sequences) : 2 * len(sequences)]
    expected = np.asarray(store.tokens)[: len(sequences) * 16].reshape(-1, 16)
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch, axis=0), np.sort(expected, axis=0))
    assert not np.array_equal(*epochs)
    assert not np.array_equal(rows[:4], ShuffledBatches(sequences, 4, seed=1)[0].numpy())


def test_a_batch_depends_on_its_step_alone(tmp_path: Path) -> None:
    """Taken out of order, batches are the same: what resumption rests on."""
    sequences = Sequences(write(tmp_path / "store"), 16, "corpus")
    forward = [ShuffledBatches(sequences, 7, seed=3)[step] for step in range(40)]
    again = ShuffledBatches(sequences, 7, seed=3)
    assert all(bool((again[step] == forward[step]).all()) for step in reversed(range(40)))


def test_a_corpus_shorter_than_one_sequence_is_an_error(tmp_path: Path) -> None:
    """Named, with the way out."""
    with pytest.raises(StageError, match=r"data\.sources|sequence_length"):
        Sequences(write(tmp_path / "store", count=1), 128, "data/packed/train")
