"""Masked language modelling and next sentence prediction (Devlin et al. 2019, BERT, §3.1 and A.2)."""

from __future__ import annotations

from stages.pretrain.objectives.segment_pairs import SegmentObjective
from stages.pretrain.segments import SegmentReader, foreign
from stages.token_store import TokenStore


class NextSentence(SegmentObjective):
    """Tell a text's next segment from another text's."""

    question = "nsp"

    def reader(self, store: TokenStore, length: int, key: str, *, document_mask: bool) -> SegmentReader:
        return SegmentReader(store, length, key, foreign)
