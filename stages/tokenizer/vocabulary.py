"""What an objective has to know of the tokens besides their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from tokenizers import Tokenizer
from torch import Tensor

from stages.tokenizer.special import SPECIAL_TOKENS

SENTENCE_ENDS = (".", "!", "?")
BLANKS = ("Ġ", "▁")
"""What a byte-level and a Unigram piece begins with where a blank stands before it."""

INSIDE = "##"
"""What a WordPiece piece begins with inside a word."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model.

    Attributes:
        size: rows of the embedding table; the tokenizer may fill fewer.
        continues: (size,), bool: pieces that go on the word of the piece before them.
        ends_sentence: (size,), bool: full stops, exclamation and question marks.
    """

    size: int
    continues: Tensor
    ends_sentence: Tensor

    @classmethod
    def of(cls, tokenizer: Tokenizer, size: int) -> Self:
        """Read off a tokenizer's pieces."""
        continues, ends = torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=torch.bool)
        pieces = {index: piece for piece, index in tokenizer.get_vocab().items() if len(SPECIAL_TOKENS) <= index < size}
        marked = any(piece.startswith(INSIDE) for piece in pieces.values())
        for index, piece in pieces.items():
            continues[index] = piece.startswith(INSIDE) if marked else not piece.startswith(BLANKS)
            ends[index] = piece.removeprefix(INSIDE).lstrip("".join(BLANKS)) in SENTENCE_ENDS
        return cls(size, continues, ends)

    @property
    def ordinary(self) -> range:
        """The ids that are text: all but the special tokens."""
        return range(len(SPECIAL_TOKENS), self.size)
