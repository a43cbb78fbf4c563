"""Counting the words of a corpus as a tokenizer sees them: normalized and pre-tokenized."""

from __future__ import annotations

from collections import Counter

from tokenizers import Tokenizer

from stages.tokenizer.texts import Texts


def count_words(tokenizer: Tokenizer, texts: Texts) -> Counter[str]:
    """How often each word stands in the texts. Memory grows with the distinct words only.

    What stands between two blanks is counted first and split once, which is right for a tokenizer
    whose normalizer and pre-tokenizer never look across a blank.
    """
    chunks: Counter[str] = Counter()
    for batch in texts():
        for text in batch:
            chunks.update(text.split())
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(chunk)):
            words[word] += count
    return words


def count_characters(words: Counter[str]) -> Counter[str]:
    """How often each character stands in the counted words."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    return counts


def alphabet(words: Counter[str], limit: int) -> list[str]:
    """The most frequent characters, at most `limit`, sorted."""
    counts = count_characters(words)
    kept = sorted(counts, key=lambda character: (-counts[character], character))[:limit]
    return sorted(kept)
