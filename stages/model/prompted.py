"""A language model that classifies by what it finds likely: a text in a pattern, and a word for each class.

A masked model fills the place of the word (Schick & Schütze 2021, Exploiting Cloze Questions, §3.1), a causal one goes
on with it (Brown et al. 2020, GPT-3, §2). Nothing is trained. Before the text may stand others of the task with their
words: demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor, nn

from stages.model.classifier_config import ClassifierConfig
from stages.model.config import ScoringMode
from stages.model.transformer import LanguageModel

Ids = tuple[int, ...]
TEXT, TEXT_PAIR, WORD = -1, -2, -3
"""Places in a pattern that are filled."""


@dataclass(frozen=True)
class Prompt:
    """What stands around a text.

    Attributes:
        mode: how the model reads: from the left, or from both sides.
        pattern: token ids, and the places for the text, its pair and the word.
        words: the token ids that stand for each class.
        demonstrations: what stands before; token ids.
        max_length: of all of it; texts that are too long are cut.
        separator: the token that ends a text, and with which a sequence begins.
        mask: the token that hides another.
    """

    mode: ScoringMode
    pattern: Ids
    words: tuple[Ids, ...]
    demonstrations: Ids
    max_length: int
    separator: int
    mask: int

    def after(self, demonstrations: Ids) -> Prompt:
        """The same behind demonstrations."""
        return replace(self, demonstrations=demonstrations)

    def texts(self, ids: Tensor) -> list[Ids]:
        """A text within [CLS] and [SEP], or both of a pair, which [SEP] parts."""
        inner = tuple(ids[1:-1].tolist())
        if TEXT_PAIR not in self.pattern:
            return [inner]
        end = inner.index(self.separator) if self.separator in inner else len(inner)
        return [inner[:end], inner[end + 1 :]]

    def sequence(self, texts: Sequence[Ids], word: Ids) -> tuple[list[int], int]:
        """All of it, with ``word`` in its place, and where that is."""
        filled = self.filled(self.pattern, texts, word, self.max_length - len(self.demonstrations) - 2)
        before = [self.separator, *self.demonstrations]
        return [*before, *filled[0], self.separator], len(before) + filled[1]

    @staticmethod
    def filled(pattern: Ids, texts: Sequence[Ids], word: Ids, room: int) -> tuple[list[int], int]:
        """The pattern with texts and word in their places, in at most ``room`` tokens, and where the word begins."""
        fixed = sum(1 for token in pattern if token >= 0) + len(word)
        cut = _cut(texts, max(0, room - fixed))
        ids: list[int] = []
        place = 0
        for token in pattern:
            if token == WORD:
                place = len(ids)
            ids += word if token == WORD else cut[TEXT - token] if token < 0 else (token,)
        return ids, place


def _cut(texts: Sequence[Ids], room: int) -> list[Ids]:
    """The beginnings of texts that fit together, the longest cut first."""
    kept: dict[int, Ids] = {}
    for place in sorted(range(len(texts)), key=lambda place: len(texts[place])):
        kept[place] = texts[place][: room // (len(texts) - len(kept))]
        room -= len(kept[place])
    return [kept[place] for place in range(len(texts))]


class Prompted(nn.Module):
    """The logarithm of the probability of each class's word; as a `Classifier`, texts in and outputs out."""

    def __init__(self, model: LanguageModel, prompt: Prompt, config: ClassifierConfig) -> None:
        """``config``: of the classes; nothing is pooled."""
        super().__init__()
        self.model, self.prompt, self.config = model, prompt, config

    def forward(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(batch, length), each text within [CLS] and [SEP] as tasks are encoded -> (batch, classes), fp32, nats."""
        texts = [self.prompt.texts(ids[mask.bool()]) for ids, mask in zip(input_ids, attention_mask, strict=True)]
        outputs = torch.empty(len(texts), len(self.prompt.words), device=self.model.output_weight.device)
        classes = sorted(range(len(self.prompt.words)), key=self._shown)
        for shown, group in groupby(classes, key=self._shown):
            members = list(group)
            outputs[:, members] = self._likelihoods(
                texts, shown, [self.prompt.words[index] for index in members], dtype
            )
        return outputs

    def _shown(self, index: int) -> Ids:
        """What the model sees in the place of a class's word; classes that show the same are answered at once."""
        word = self.prompt.words[index]
        return word[:-1] if self.prompt.mode == "causal" else (self.prompt.mask,) * len(word)

    def _likelihoods(self, texts: list[list[Ids]], shown: Ids, words: list[Ids], dtype: torch.dtype) -> Tensor:
        """log P(word) of each text and word, (texts, words)."""
        sequences, places = zip(*(self.prompt.sequence(text, shown) for text in texts), strict=True)
        longest = max(map(len, sequences))
        ids = torch.tensor([[*row, *[self.prompt.separator] * (longest - len(row))] for row in sequences])
        real = torch.arange(longest) < torch.tensor([len(row) for row in sequences])[:, None]
        causal = self.prompt.mode == "causal"
        hidden = self.model.model(ids, real.long(), dtype, causal=causal)[-1]
        first = torch.tensor(places) - int(causal)  # from the left, a token is predicted at the one before it
        positions = first[:, None] + torch.arange(len(words[0]))
        read = hidden[torch.arange(len(ids))[:, None], positions]
        log_probabilities = self.model.logits(read).float().log_softmax(-1)
        targets = torch.tensor(words, device=hidden.device)  # (words, tokens)
        chosen = [log_probabilities[:, token, targets[:, token]] for token in range(targets.shape[1])]
        return torch.stack(chosen).sum(0)
