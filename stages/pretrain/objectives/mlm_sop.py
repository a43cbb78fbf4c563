"""Masked language modelling and sentence order prediction (Lan et al. 2020, ALBERT, §3.1).

A segment of another text is given away by its topic; one from the same place of the same text only by coherence.
"""

from __future__ import annotations

from stages.pretrain.objectives.segment_pairs import SegmentObjective
from stages.pretrain.segments import SegmentReader, swapped
from stages.token_store import TokenStore


class SentenceOrder(SegmentObjective):
    """Tell two segments in their order from the same two swapped."""

    question = "sop"

    def reader(self, store: TokenStore, length: int, key: str, *, document_mask: bool) -> SegmentReader:
        return SegmentReader(store, length, key, swapped)
