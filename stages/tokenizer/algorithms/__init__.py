"""The algorithms that learn a vocabulary: one file each, all with the same contract.

An algorithm is a function ``train(texts, settings)`` that returns a `tokenizers.Tokenizer` with a
normalizer, pre-tokenizer, model and decoder, whose first ids are the special tokens. It must give
the same vocabulary every time. A new one is a new file here, a line in `ALGORITHMS`, and its name
in `stages.params`.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Tokenizer

from stages import params
from stages.tokenizer.algorithms import bpe, unigram, wordpiece
from stages.tokenizer.texts import Texts

ALGORITHMS: dict[str, Callable[[Texts, params.Tokenizer], Tokenizer]] = {
    "wordpiece": wordpiece.train,
    "bpe": bpe.train,
    "unigram": unigram.train,
}
