"""Windows and their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.errors import StageError
from stages.pretrain.sequences import Order, Sequences
from stages.tokenizer.special import SEP_ID
from tests.pretrain import made
from tests.pretrain.corpus import VOCABULARY, write


def taken(sequences: Sequences, order: Order, step: int) -> NDArray[np.int64]:
    """The token ids of a step's batch."""
    return sequences.take(order[step], made.generator()).input_ids.numpy()


def test_an_epoch_shows_every_window_once(tmp_path: Path) -> None:
    """Whatever the batch size, and in another order each epoch and for each seed."""
    store = write(tmp_path / "store")
    sequences = Sequences(store, 16, "corpus")
    order = Order(len(sequences), 4, seed=0)
    steps = -(-2 * len(sequences) // 4)
    rows = np.concatenate([taken(sequences, order, step) for step in range(steps)])
    epochs = rows[: len(sequences)], rows[len(sequences) : 2 * len(sequences)]
    expected = np.asarray(store.tokens)[: len(sequences) * 16].reshape(-1, 16)
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch, axis=0), np.sort(expected, axis=0))
    assert not np.array_equal(*epochs)
    assert not np.array_equal(rows[:4], taken(sequences, Order(len(sequences), 4, seed=1), 0))


def test_a_batch_depends_on_its_step_alone(tmp_path: Path) -> None:
    """Taken out of order, batches are the same: what resumption rests on."""
    sequences = Sequences(write(tmp_path / "store"), 16, "corpus")
    forward = [taken(sequences, Order(len(sequences), 7, seed=3), step) for step in range(40)]
    again = Order(len(sequences), 7, seed=3)
    assert all(np.array_equal(taken(sequences, again, step), forward[step]) for step in reversed(range(40)))


def test_a_corpus_shorter_than_one_sequence_is_an_error(tmp_path: Path) -> None:
    """Named, with the way out."""
    with pytest.raises(StageError, match=r"data\.sources|sequence_length"):
        Sequences(write(tmp_path / "store", count=1), 128, "data/packed/train")


@pytest.mark.parametrize("name", ["mlm", "clm"])
def test_documents_see_each_other_only_without_the_document_mask(name: str, tmp_path: Path) -> None:
    """Changing one document's tokens changes the states of another in its window only where they may attend."""
    store = write(tmp_path / "store")
    for document_mask in (False, True):
        text = Sequences(store, 64, "corpus", document_mask=document_mask).take(np.array([0]), made.generator())
        first = int((text.input_ids[0] == SEP_ID).nonzero()[0]) + 1
        changed = text.input_ids.clone()
        changed[0, 0] = VOCABULARY - 1 if changed[0, 0] < VOCABULARY - 1 else VOCABULARY - 2
        objective = made.objective_of(name)
        model = made.model_of(objective, disturbed=True).model
        with torch.no_grad():
            before, after = (model(ids, text.attention_mask)[-1][0] for ids in (text.input_ids, changed))
        assert not torch.allclose(before[:first], after[:first])
        assert torch.equal(before[first:], after[first:]) is document_mask
