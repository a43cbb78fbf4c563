"""How well a tokenizer fits a text."""

from __future__ import annotations

from tokenizers import Tokenizer

from stages.tokenizer.special import UNK_ID
from stages.tokenizer.texts import Texts


def statistics(tokenizer: Tokenizer, texts: Texts) -> dict[str, float]:
    """Figures over held-out text.

    Returns:
        `fertility`, tokens per word (between blanks); `unknown_rate`, the share of tokens that
        are [UNK]; `bytes_per_token`, UTF-8 bytes of text per token; `vocab_size`.
    """
    tokens = unknown = words = size = 0
    for batch in texts():
        encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        for text, encoding in zip(batch, encodings, strict=True):
            tokens += len(encoding.ids)
            unknown += encoding.ids.count(UNK_ID)
            words += len(text.split())
            size += len(text.encode())
    return {
        "fertility": tokens / max(words, 1),
        "unknown_rate": unknown / max(tokens, 1),
        "bytes_per_token": size / max(tokens, 1),
        "vocab_size": tokenizer.get_vocab_size(),
    }
