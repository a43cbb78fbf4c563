"""Masks against their definition."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from stages.pretrain import masking
from stages.tokenizer.special import MASK_ID, SEP_ID, SPECIAL_TOKENS
from tests.pretrain.corpus import INSIDE, VOCABULARY, WORDS, vocabulary
from tests.pretrain.made import generator

PROBABILITY = 0.15


def ids(rows: int, length: int) -> torch.Tensor:
    """Random tokens with a separator in each row."""
    drawn = torch.randint(len(SPECIAL_TOKENS), VOCABULARY, (rows, length), generator=generator(2))
    drawn[:, 10] = SEP_ID
    return drawn


@pytest.mark.parametrize("whole_word", [False, True])
def test_masks_follow_bert(whole_word: bool) -> None:
    """The rate is exact, 80/10/10 holds (χ²), special tokens are never touched, and all else stays."""
    text = ids(400, 128)
    batch = masking.mask(text, PROBABILITY, vocabulary(), generator(), whole_word=whole_word)
    flat, changed = text.flatten(), batch.input_ids.flatten()
    assert len(batch.labels) == round(PROBABILITY * text.numel()) == masking.count(text.numel(), PROBABILITY)
    assert torch.equal(flat[batch.positions], batch.labels)
    assert (batch.labels >= len(SPECIAL_TOKENS)).all()
    untouched = torch.ones_like(flat, dtype=torch.bool).index_fill(0, batch.positions, False)
    assert torch.equal(flat[untouched], changed[untouched])
    inputs = changed[batch.positions]
    found = [int((inputs == MASK_ID).sum()), int((inputs == batch.labels).sum())]
    found.append(len(inputs) - sum(found))
    # a random replacement is the original once in all ordinary tokens
    shares = [0.8, 0.1 + 0.1 / WORDS, 0.1 - 0.1 / WORDS]
    assert chisquare(found, [share * len(inputs) for share in shares]).pvalue > 0.001
    assert not ((inputs != MASK_ID) & (inputs < len(SPECIAL_TOKENS))).any()


def test_every_place_and_every_token_is_as_likely() -> None:
    """Targets are spread evenly over places, and replacements over ordinary tokens (χ²)."""
    text = ids(2000, 64)
    batch = masking.mask(text, PROBABILITY, vocabulary(), generator())
    places = torch.bincount(batch.positions % 64, minlength=64)
    assert places[10] == 0
    assert chisquare(torch.cat([places[:10], places[11:]]).numpy()).pvalue > 0.001
    inputs = batch.input_ids.flatten()[batch.positions]
    random = inputs[(inputs != MASK_ID) & (inputs != batch.labels)]
    assert chisquare(torch.bincount(random, minlength=VOCABULARY)[len(SPECIAL_TOKENS) :].numpy()).pvalue > 0.001


def test_masks_are_dynamic() -> None:
    """Another step draws other targets."""
    first, second = (masking.mask(ids(8, 32), 0.15, vocabulary(), generator(seed)).positions for seed in (0, 1))
    assert not torch.equal(first, second)


def test_whole_words_are_masked_whole() -> None:
    """Of each word all pieces or none, but for the one word that keeps the number exact."""
    text = ids(100, 64)
    batch = masking.mask(text, PROBABILITY, vocabulary(), generator(), whole_word=True)
    chosen = torch.zeros(text.numel(), dtype=torch.bool).index_fill(0, batch.positions, True).view_as(text)
    split = 0
    for row, marks in zip(text.tolist(), chosen.tolist(), strict=True):
        words: list[list[bool]] = []
        for token, mark in zip(row, marks, strict=True):
            if token in INSIDE and words:
                words[-1].append(mark)
            else:
                words.append([mark])
        split += sum(any(word) and not all(word) for word in words)
    assert split <= 1
    assert sum(len(word) > 1 for word in words) > 0
