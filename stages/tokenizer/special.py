"""The special tokens: the same, with the same ids, whatever the algorithm.

Besides BERT's five there is one for each of UL2's denoisers (Tay et al. 2023, UL2, §3.1.3) and T5's sentinels, of which
one stands for each span that was taken out (Raffel et al. 2020, T5, §3.1.4).
"""

from __future__ import annotations

PAD, UNK, CLS, SEP, MASK = BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MODES = ("[R]", "[S]", "[X]")
SENTINELS = tuple(f"<extra_id_{index}>" for index in range(100))
SPECIAL_TOKENS = (*BERT_TOKENS, *MODES, *SENTINELS)
PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID = range(len(BERT_TOKENS))
MODE_IDS = dict(zip(MODES, range(len(BERT_TOKENS), len(BERT_TOKENS) + len(MODES)), strict=True))
SENTINEL_IDS = range(len(SPECIAL_TOKENS) - len(SENTINELS), len(SPECIAL_TOKENS))
