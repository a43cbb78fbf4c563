"""Masking tokens (Devlin et al. 2019, BERT, §3.1): shared by all objectives that restore them in place."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from stages.tokenizer.special import MASK_ID
from stages.tokenizer.vocabulary import Vocabulary

MASKED, RANDOM = 0.8, 0.1  # shares of the targets that become [MASK] and a random token; the rest stays


class Masked(NamedTuple):
    """A batch to restore: ``labels`` (targets,) stand at flat ``positions`` (targets,) of ``input_ids``."""

    input_ids: Tensor
    positions: Tensor
    labels: Tensor


def count(tokens: int, probability: float) -> int:
    """How many of ``tokens`` are targets, if as many are ordinary."""
    return max(1, round(probability * tokens))


def mask(
    input_ids: Tensor,
    probability: float,
    vocabulary: Vocabulary,
    generator: torch.Generator,
    *,
    whole_word: bool = False,
) -> Masked:
    """Choose targets among the ordinary tokens and replace 80 % by [MASK], 10 % by any ordinary token.

    The number of targets is fixed by the batch's shape, so that shapes stay static; which ones is drawn uniformly
    without replacement.

    Args:
        input_ids: (batch, length), int64; special tokens in it are never targets.
        probability: share of all tokens that are targets.
        vocabulary: whose ordinary tokens replace, and which pieces make a word.
        generator: for the draws.
        whole_word: draw words, and take all pieces of each; the last one may be cut to keep the number.
    """
    flat = input_ids.flatten()
    ordinary = flat >= vocabulary.ordinary.start
    targets = min(count(len(flat), probability), int(ordinary.sum()))
    lots = torch.rand(len(flat), generator=generator)
    if whole_word:
        lots = lots[_word_starts(input_ids, vocabulary)]
    positions = lots.masked_fill(~ordinary, -1).topk(targets).indices.sort().values
    labels = flat[positions]
    fate = torch.rand(targets, generator=generator)
    anything = torch.randint(vocabulary.ordinary.start, vocabulary.size, (targets,), generator=generator)
    replaced = torch.where(fate < MASKED, MASK_ID, torch.where(fate < MASKED + RANDOM, anything, labels))
    return Masked(flat.index_copy(0, positions, replaced).view_as(input_ids), positions, labels)


def _word_starts(input_ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """The flat position of the first piece of each position's word; a word ends with its row."""
    starts = ~vocabulary.continues[input_ids]
    starts[:, 0] = True
    positions = torch.arange(input_ids.numel()).view_as(input_ids)
    return torch.where(starts, positions, 0).flatten().cummax(0).values
