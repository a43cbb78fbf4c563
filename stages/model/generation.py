"""Texts that a model writes, found by beam search (Sutskever et al. 2014, §3.2), which with one beam is greedy.

A search is over once as many texts have ended as there are beams, which is fairseq's rule, and transformers' with
``early_stopping``. Texts of different lengths are compared by log-probabilities that a power of the length divides
(transformers' form of Wu et al. 2016, GNMT, §7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], Tensor]
"""From the row that each text belongs to (texts,) and what is written of it (texts, written) to the logits of the next
token (texts, vocab_size)."""


@dataclass(frozen=True)
class Search:
    """What is looked for, and how widely.

    Attributes:
        end: the token that ends a text.
        max_new_tokens: how many a text may have, the one that ends it among them.
        beams: how many unfinished texts are gone on with.
        length_penalty: the power of the length; 0 compares log-probabilities as they are, which favours short texts.
    """

    end: int
    max_new_tokens: int
    beams: int = 1
    length_penalty: float = 1.0


class Hypothesis(NamedTuple):
    """A text of a row, or the beginning of one, and its log-probability."""

    row: int
    tokens: tuple[int, ...]
    score: float


def beam_search(step: Step, rows: int, search: Search) -> list[list[int]]:
    """The best text found for each row; of equally good ones the shortest, and then the one of lower ids."""
    going = [Hypothesis(row, (), 0.0) for row in range(rows)]
    over: list[list[Hypothesis]] = [[] for _ in range(rows)]
    for length in range(1, search.max_new_tokens + 1):
        longer, going = _extended(step, going, 2 * search.beams), []
        for row, texts in groupby(longer, key=lambda text: text.row):
            # of twice as many as go on, enough do not end, for a text can end in one way only
            ranked = sorted(texts, key=lambda text: -text.score)[: 2 * search.beams]
            ends = [length == search.max_new_tokens or text.tokens[-1] == search.end for text in ranked]
            over[row] += [text for text, end in zip(ranked[: search.beams], ends, strict=False) if end]
            if len(over[row]) < search.beams:
                going += [text for text, end in zip(ranked, ends, strict=True) if not end][: search.beams]
        if not going:
            break
    return [_best(found, search) for found in over]


def _extended(step: Step, texts: Sequence[Hypothesis], count: int) -> list[Hypothesis]:
    """Each text with each of the ``count`` tokens that are the likeliest to follow it."""
    rows = torch.tensor([text.row for text in texts])
    written = torch.tensor([text.tokens for text in texts], dtype=torch.long)
    scores, tokens = _top(step(rows, written).float().log_softmax(-1), count)
    return [
        Hypothesis(text.row, (*text.tokens, token), text.score + score)
        for text, *following in zip(texts, scores.tolist(), tokens.tolist(), strict=True)
        for score, token in zip(*following, strict=True)
    ]


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest of each row and their places, of equal ones the first, which `torch.topk` does not promise."""
    scores, found = scores.clone(), []
    for _ in range(min(count, scores.shape[-1])):
        found.append(scores.max(-1, keepdim=True))
        scores.scatter_(-1, found[-1].indices, -torch.inf)
    values, places = zip(*found, strict=True)
    return torch.cat(values, -1), torch.cat(places, -1)


def _best(found: Sequence[Hypothesis], search: Search) -> list[int]:
    best = max(found, key=lambda text: text.score / len(text.tokens) ** search.length_penalty)
    return [token for token in best.tokens if token != search.end]
