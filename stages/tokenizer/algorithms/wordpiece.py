"""WordPiece as BERT has it (Devlin et al. 2019): pieces inside a word begin with ``##``.

The library's `WordPieceTrainer` numbers the ``##`` characters in the order of a randomly seeded
hash map, and its ties follow those numbers, so that two trainings differ. Its `BpeTrainer` sorts
its alphabet. So each character inside a word is replaced by a private-use character of its own,
which is what ``##`` says, the merges are learned by `BpeTrainer`, and the pieces are written back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from stages import params
from stages.tokenizer.special import SPECIAL_TOKENS, UNK
from stages.tokenizer.texts import Texts
from stages.tokenizer.words import alphabet, count_words

PREFIX = "##"
MAX_ALPHABET = 1000
"""Characters that may begin a piece; words with others are unknown. As in the library."""

PRIVATE_USE = 0xF0000
REPEATS = 1000
"""Words handed to the trainer in one string."""


def train(texts: Texts, settings: params.Tokenizer) -> Tokenizer:
    """Learn the pieces, the same every time."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
    pieces = _learn(count_words(tokenizer, texts), settings.vocab_size)
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer.model = models.WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=PREFIX)
    return tokenizer


def _learn(words: Counter[str], vocab_size: int) -> list[str]:
    """The vocabulary in the order of its ids."""
    characters = alphabet(words, MAX_ALPHABET)
    inside = {character: chr(PRIVATE_USE + index) for index, character in enumerate(characters)}
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    learner.train_from_iterator(_marked(words, inside), trainer)
    outside = {mark: character for character, mark in inside.items()}
    vocabulary = learner.get_vocab()
    return [_written_back(piece, outside) for piece in sorted(vocabulary, key=vocabulary.__getitem__)]


def _marked(words: Counter[str], inside: dict[str, str]) -> Iterator[str]:
    """Each word as often as it was counted, with the characters inside it marked."""
    for word, count in words.items():
        if all(character in inside for character in word):
            marked = word[0] + "".join(inside[character] for character in word[1:])
            for done in range(0, count, REPEATS):
                yield " ".join([marked] * min(REPEATS, count - done))


def _written_back(piece: str, outside: dict[str, str]) -> str:
    text = "".join(outside.get(character, character) for character in piece)
    return PREFIX + text if piece[0] in outside else text
