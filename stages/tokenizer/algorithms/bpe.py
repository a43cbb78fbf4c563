"""Byte-level byte-pair encoding (Radford et al. 2019): any text is some of 256 bytes, none unknown."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from stages import params
from stages.tokenizer.special import SPECIAL_TOKENS
from stages.tokenizer.texts import Texts


def train(texts: Texts, settings: params.Tokenizer) -> Tokenizer:
    """Learn the merges with the library's trainer, whose result does not depend on threads or order."""
    tokenizer = Tokenizer(models.BPE())
    if settings.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer
