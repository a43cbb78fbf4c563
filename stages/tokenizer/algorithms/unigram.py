"""Unigram language model (Kudo 2018): pieces with probabilities, a word is its likeliest split.

The library's `UnigramTrainer` sums its expectations in the order of a randomly seeded hash map, so
that two trainings differ. Here the library splits the words (its `Unigram` model), and the learning
around it is ours: from frequent substrings, in turns, pieces are weighted by how often the best
splits use them, and those are dropped that the likelihood misses least, until enough are gone.
Counting best splits instead of all splits makes every sum one of whole numbers, hence exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from stages import params
from stages.tokenizer.special import SPECIAL_TOKENS, UNK_ID
from stages.tokenizer.texts import Texts
from stages.tokenizer.words import alphabet, count_characters, count_words

MAX_ALPHABET = 1000
MAX_PIECE = 16
"""Characters of the longest piece, as in SentencePiece."""

SEED_WORDS = 200_000
"""Most frequent words whose substrings are counted, which bounds the memory."""

SEED_FACTOR = 10
"""Pieces to begin with, for each one wanted."""

SHRINK = 0.75
"""Share of the pieces that survives a turn."""

CHUNK = 10_000
"""Words split at a time."""

Pieces = dict[str, float]
"""Pieces with the logarithms of their probabilities."""


def train(texts: Texts, settings: params.Tokenizer) -> Tokenizer:
    """Learn the pieces, the same every time."""
    tokenizer = Tokenizer(models.Unigram())
    blanks = normalizers.Replace(Regex(r"\s+"), " ")
    lowercase = [normalizers.Lowercase()] if settings.lowercase else []
    tokenizer.normalizer = normalizers.Sequence([*lowercase, blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    pieces = _learn(count_words(tokenizer, texts), settings.vocab_size - len(SPECIAL_TOKENS))
    tokenizer.model = _model(pieces)
    return tokenizer


def _model(pieces: Pieces) -> models.Unigram:
    """The library's model; ids follow the special tokens, likeliest first."""
    ranked = sorted(pieces.items(), key=lambda item: (-item[1], item[0]))
    return models.Unigram([*((token, 0.0) for token in SPECIAL_TOKENS), *ranked], unk_id=UNK_ID)


def _learn(words: Counter[str], size: int) -> Pieces:
    characters = count_characters(words)
    letters = {letter: characters[letter] for letter in alphabet(words, min(MAX_ALPHABET, size))}
    pieces = _log_probabilities(_seeds(words, size * SEED_FACTOR) | letters)
    while True:
        for _ in range(2):
            counts = _count_pieces(words, pieces)
            pieces = _log_probabilities(dict.fromkeys(pieces, 1) | counts)
        if len(pieces) <= size:
            return pieces
        useful = len(letters.keys() | counts.keys())
        pieces = _drop(pieces, counts, letters, max(size, min(useful, int(len(pieces) * SHRINK))))


def _seeds(words: Counter[str], limit: int) -> dict[str, int]:
    """The substrings that cover most text, of those that stand in more than one word or place."""
    counts: Counter[str] = Counter()
    for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:SEED_WORDS]:
        for piece in _substrings(word):
            counts[piece] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))
    return {piece: count for piece, count in ranked[:limit] if count > 1}


def _substrings(word: str) -> Iterator[str]:
    for start in range(len(word) - 1):
        for end in range(start + 2, min(start + MAX_PIECE, len(word)) + 1):
            yield word[start:end]


def _count_pieces(words: Counter[str], pieces: Pieces) -> dict[str, int]:
    """How often each piece stands in the best splits of all words."""
    splitter = Tokenizer(_model(pieces))
    listed = list(words)
    counts: Counter[int] = Counter()
    for start in range(0, len(listed), CHUNK):
        chunk = listed[start : start + CHUNK]
        encodings = splitter.encode_batch_fast(chunk, add_special_tokens=False)
        for word, encoding in zip(chunk, encodings, strict=True):
            for index in encoding.ids:
                counts[index] += words[word]
    ids = splitter.get_vocab()
    return {piece: counts[ids[piece]] for piece in pieces if counts[ids[piece]]}


def _log_probabilities(counts: dict[str, int]) -> Pieces:
    total = math.log(sum(counts.values()))
    return {piece: math.log(count) - total for piece, count in counts.items()}


def _drop(pieces: Pieces, counts: dict[str, int], letters: dict[str, int], target: int) -> Pieces:
    """Keep the letters, and the pieces without which the text would lose most likelihood."""
    losses = {
        piece: counts.get(piece, 0) * (score - _without(piece, pieces))
        for piece, score in pieces.items()
        if piece not in letters
    }
    ranked = sorted(losses, key=lambda piece: (-losses[piece], piece))
    kept = {*letters, *ranked[: max(target - len(letters), 0)]}
    return {piece: score for piece, score in pieces.items() if piece in kept}


def _without(piece: str, pieces: Pieces) -> float:
    """The log-probability of the best split of a piece into others."""
    best = [0.0] + [-math.inf] * len(piece)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            if end - start < len(piece):
                score = best[start] + pieces.get(piece[start:end], -math.inf)
                best[end] = max(best[end], score)
    return best[-1]
