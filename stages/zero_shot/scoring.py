"""How likely a language model finds sentences.

Text is packed for pre-training, each ending in [SEP] and none beginning with [CLS]. So a sentence is shown as a model
knows texts: behind the [SEP] of an empty one, and ended by its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from stages import progress
from stages.model import visibility
from stages.model.config import ScoringMode
from stages.model.transformer import LanguageModel
from stages.tokenizer.special import MASK_ID, SEP_ID

TOKENS, LOGITS = 2**13, 2**21
"""Tokens in a batch's masked copies, and logits held at once; more leaves the processor's caches."""

FRAME = -1
"""The word of the [SEP] on either side."""

Scores = NDArray[np.float64]


class Sentence(NamedTuple):
    """A sentence's ids within [SEP] and [SEP], and the number of the word that each belongs to."""

    ids: tuple[int, ...]
    words: tuple[int, ...]


class Batch(NamedTuple):
    """Sentences of one length, so that nothing is padded: ``ids`` and ``words`` (sentences, length)."""

    ids: Tensor
    words: Tensor
    attention_mask: Tensor | None


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Sentence]:
    """Texts as sentences; words are those that the tokenizer splits into pieces."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)  # the fast variant tells no words
    framed = (((SEP_ID, *each.ids, SEP_ID), (FRAME, *each.word_ids, FRAME)) for each in encodings)
    return [Sentence(*each) for each in framed]  # type: ignore[arg-type]  # only special tokens have no word


@torch.no_grad()
def score(
    model: LanguageModel,
    sentences: Sequence[Sentence],
    mode: ScoringMode,
    dtype: torch.dtype,
    *,
    document_mask: bool = False,
) -> Scores:
    """The logarithm (nats) of each sentence's probability, which is not divided by its length.

    A sentence that stands there twice is scored once, so that equal tokens have equal scores to the bit.

    Args:
        mode: a key of `MODES`.
        dtype: the type to compute in; logits and what follows from them are fp32.
        document_mask: whether the model was trained without seeing the texts before a text.
    """
    scores: dict[Sentence, float] = {}
    ordered = sorted(dict.fromkeys(sentences), key=lambda sentence: len(sentence.ids))
    with progress.bar(f"score {mode}", len(ordered), "sentences") as bar:
        for length, group in groupby(ordered, key=lambda sentence: len(sentence.ids)):
            for part in _parts(list(group), max(1, TOKENS // length**2)):
                scores.update(zip(part, MODES[mode](model, _batch(part, document_mask), dtype).tolist(), strict=True))
                bar.advance(len(part))
    return np.array([scores[sentence] for sentence in sentences])


def _parts(group: list[Sentence], size: int) -> list[list[Sentence]]:
    return [group[start : start + size] for start in range(0, len(group), size)]


def _batch(sentences: list[Sentence], document_mask: bool) -> Batch:
    ids, words = (torch.tensor(rows) for rows in zip(*sentences, strict=True))
    documents = torch.arange(ids.shape[1])[None].clamp(max=1)  # the first [SEP], and all behind it
    return Batch(ids, words, visibility.within(documents) if document_mask else None)


def causal(model: LanguageModel, batch: Batch, dtype: torch.dtype) -> Tensor:
    """log P(tokens, [SEP] | [SEP]) of each sentence, from left to right (Radford et al. 2019, GPT-2, §2)."""
    hidden = model.model(batch.ids, batch.attention_mask, dtype, causal=True)[-1][:, :-1]
    return _log_probabilities(model, hidden, batch.ids[:, 1:]).sum(1)


def pseudo(model: LanguageModel, batch: Batch, dtype: torch.dtype) -> Tensor:
    """Pseudo-log-likelihood of each sentence: the sum over its tokens, each masked and restored from both sides.

    The sum is that of Salazar et al. 2020 (Masked Language Model Scoring, §2). With a token are masked those to its
    right in the same word, for the rest of a rare word gives its beginning away (Kauf & Ivanova 2023, A Better Way to
    Do Masked Language Model Scoring, §2: PLL-word-l2r).
    """
    ids, words = batch.ids, batch.words
    targets, positions = torch.arange(1, ids.shape[1] - 1), torch.arange(ids.shape[1])
    masked = (words[:, None] == words[:, targets, None]) & (positions >= targets[:, None])
    copies = ids[:, None].masked_fill(masked, MASK_ID)
    hidden = model.model(copies.flatten(0, 1), batch.attention_mask, dtype, causal=False)[-1]
    at_targets = hidden.unflatten(0, copies.shape[:2])[:, torch.arange(len(targets)), targets]
    return _log_probabilities(model, at_targets, ids[:, targets]).sum(1)


def _log_probabilities(model: LanguageModel, hidden: Tensor, labels: Tensor) -> Tensor:
    """Of ``labels`` (sentences, targets) at ``hidden`` (sentences, targets, hidden_size)."""
    states, weight = model.head(hidden).flatten(0, 1).float(), model.output_weight
    rows = LOGITS // len(weight)
    parts = zip(states.split(rows), labels.to(states.device).flatten().split(rows), strict=True)
    nll = [F.cross_entropy(F.linear(part, weight), targets, reduction="none") for part, targets in parts]
    return -torch.cat(nll).view_as(labels)


MODES: dict[ScoringMode, Callable[[LanguageModel, Batch, torch.dtype], Tensor]] = {"causal": causal, "pseudo": pseudo}
"""How each mode is computed; which of them mean something for a model, its objective says."""
