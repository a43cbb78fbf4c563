"""Sentence order prediction; its loss against transformers' BERT is in `test_mlm_nsp`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.pretrain.segments import WRONG
from tests.pretrain import made
from tests.pretrain.objectives.test_mlm_nsp import ascending, learnt, topical
from tests.pretrain.test_segments import numbered, shuffled, traced


def test_wrong_pairs_are_right_ones_swapped(tmp_path: Path) -> None:
    """Both segments are of one document, and the one that stands first comes second in it."""
    store = numbered(tmp_path / "store", shuffled())
    reader = made.objective_of("mlm_sop").reader(store, 32, "corpus", document_mask=False)
    batch = reader.take(np.arange(100), made.generator())
    for row, label in zip(batch.input_ids, batch.labels.tolist(), strict=True):
        first, second = traced(row, shuffled())
        assert first.document == second.document
        before, after = (second, first) if label == WRONG else (first, second)
        assert before.last + 1 == after.first


def test_order_tells_swapped_segments_and_topics_do_not(tmp_path: Path) -> None:
    """What next sentence prediction learns of topics is of no use here (ALBERT, §3.1)."""
    assert learnt("mlm_sop", ascending, tmp_path / "ascending")["sop_loss"] < 0.35
    assert learnt("mlm_sop", topical, tmp_path / "topical")["sop_loss"] > 0.65
