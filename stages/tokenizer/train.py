"""Training a tokenizer."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from stages import params
from stages.tokenizer.algorithms import ALGORITHMS
from stages.tokenizer.special import CLS, CLS_ID, SEP, SEP_ID, SPECIAL_TOKENS
from stages.tokenizer.texts import Texts


def train(texts: Texts, settings: params.Tokenizer) -> Tokenizer:
    """Learn a vocabulary and frame its texts as [CLS] A [SEP] B [SEP].

    It has `settings.vocab_size` pieces, or fewer if the texts have no more to give.
    """
    tokenizer = ALGORITHMS[settings.algorithm](texts, settings)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, CLS_ID), (SEP, SEP_ID)],
    )
    return tokenizer
