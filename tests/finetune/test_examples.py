"""Cutting, padding and batching; what is read of a task, and drawn of it: test_tokenization.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.tokenizer.special import PAD_ID, SEP_ID
from tests.finetune.made import LENGTH, examples, store


def test_a_batch_holds_each_text_and_nothing_else(tmp_path: Path) -> None:
    """Real tokens where the mask says so, padding elsewhere, [SEP] kept where a text was cut."""
    whole = store(tmp_path / "store", 50, 0)
    some = examples(tmp_path / "some", 50, 0)
    batch = some.batch(np.arange(50))
    for row, mask, index in zip(batch.input_ids.numpy(), batch.attention_mask.numpy(), range(50), strict=True):
        text = whole[index]
        kept = text if len(text) <= LENGTH else np.append(text[: LENGTH - 1], SEP_ID)
        assert row[: len(kept)].tolist() == kept.tolist()
        assert mask.tolist() == [1] * len(kept) + [0] * (len(row) - len(kept))
        assert (row[len(kept) :] == PAD_ID).all()
    assert batch.labels.tolist() == np.asarray(whole.labels).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_an_epoch_has_every_example_once(batch_size: int, tmp_path: Path) -> None:
    """In an order of the seed and the epoch."""
    some = examples(tmp_path / "some", 100, 0)
    orders = [some.shuffled(batch_size, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))]
    for order in orders:
        assert sorted(np.concatenate(order).tolist()) == list(range(100))
    flat = [np.concatenate(order).tolist() for order in orders]
    assert flat[0] == flat[3]
    assert flat[0] != flat[1]
    assert flat[0] != flat[2]
