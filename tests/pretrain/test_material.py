"""Mixing the rows of two corpora."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.pretrain.material import Corpus
from stages.pretrain.sequences import Sequences
from tests.pretrain import made
from tests.pretrain.corpus import write


@pytest.mark.parametrize(("share", "replayed"), [(0.0, 0), (0.05, 0), (0.25, 2), (0.5, 4), (0.9, 7)])
@pytest.mark.parametrize("document_mask", [False, True])
def test_a_share_of_each_batch_is_replayed(share: float, replayed: int, document_mask: bool, tmp_path: Path) -> None:
    """As many rows as the share rounds to come from the other corpus, drawn anew each time; the rest is as it was."""
    stores = [write(tmp_path / str(seed), 100, seed) for seed in (0, 1)]
    rows, others = (Sequences(store, 16, "made", document_mask=document_mask) for store in stores)
    mixed = Corpus(rows, rows, 4.0).replaying(Corpus(others, others, 4.0), share).train
    indices = np.arange(8)
    plain, batch = rows.take(indices, made.generator()), mixed.take(indices, made.generator(1))
    kept = 8 - replayed
    assert np.array_equal(batch.input_ids[:kept], plain.input_ids[:kept])
    known = {tuple(row) for row in others.take(np.arange(len(others)), made.generator()).input_ids.tolist()}
    assert all(tuple(row) in known for row in batch.input_ids[kept:].tolist())
    assert (batch.documents is None) is not document_mask
    if replayed:
        assert not np.array_equal(batch.input_ids[kept:], mixed.take(indices, made.generator(2)).input_ids[kept:])
    assert len(mixed) == len(rows)
