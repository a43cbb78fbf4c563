"""Spans against T5's figure, T5's own way to draw them, and corruption written out as a loop."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, groupby

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from stages.errors import StageError
from stages.pretrain.sequences import Text
from stages.pretrain.spans import Corruption, corrupt
from stages.tokenizer.special import SENTINEL_IDS
from tests.pretrain.made import generator
from tests.pretrain.test_masking import ids

X, Y, Z = SENTINEL_IDS[:3]


def t5_mask(length: int, noise_density: float, mean_span_length: float, drawn: np.random.Generator) -> list[bool]:
    """`random_spans_noise_mask` of T5's preprocessors."""

    def segmentation(items: int, segments: int) -> list[int]:
        starts = np.concatenate([[0], drawn.permutation((np.arange(items - 1) < segments - 1).astype(int))])
        return np.bincount(np.cumsum(starts)).tolist()

    noise = min(max(int(np.round(length * noise_density)), 1), length - 1)
    spans = max(int(np.round(noise / mean_span_length)), 1)
    taken, kept = segmentation(noise, spans), segmentation(length - noise, spans)
    turns = zip(kept, taken, strict=True)
    return [mark for stays, goes in turns for mark in [False] * stays + [True] * goes]


def corrupted(tokens: list[int], noise: list[bool]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Source and target as T5's figure has them, and the place in the text that each of their tokens comes from."""
    source, target, sources, targets = [], [], [], []
    sentinel = iter(SENTINEL_IDS)
    for place, (token, taken) in enumerate(zip(tokens, noise, strict=True)):
        if taken and (place == 0 or not noise[place - 1]):
            source.append(mark := next(sentinel))
            target.append(mark)
            sources.append(place)
            targets.append(place)
        (target if taken else source).append(token)
        (targets if taken else sources).append(place)
    return source, [*target, next(sentinel)], sources, [*targets, targets[-1]]


def test_it_is_the_figure_of_t5() -> None:
    """Raffel et al. 2020, Figure 2."""
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    numbers = {word: 200 + index for index, word in enumerate(words)}
    said = {index: word for word, index in numbers.items()} | {X: "<X>", Y: "<Y>", Z: "<Z>"}
    noise = torch.tensor([[word in ("for", "inviting", "last") for word in words]])
    pairs = corrupt(Text(torch.tensor([list(numbers.values())]), None), noise)
    source, target = (" ".join(said[token] for token in side.input_ids[0].tolist()) for side in pairs)
    assert source == "Thank you <X> me to your party <Y> week"
    assert target == "<X> for inviting <Y> last <Z>"


@pytest.mark.parametrize("setting", [(128, 0.15, 3), (64, 0.5, 3), (32, 0.15, 8), (33, 0.5, 1), (8, 0.01, 3)])
def test_texts_are_corrupted_as_written_out(setting: tuple[int, float, float]) -> None:
    """Tokens and documents, row by row; the lengths are what is said, and nothing is lost."""
    length, *rates = setting
    text = Text(ids(20, max(length, 11))[:, :length], torch.arange(length).expand(20, -1))
    corruption = Corruption.of(length, *rates, remedy="")
    noise = corruption.draw(20, generator())
    source, target = corrupt(text, noise)
    assert source.input_ids.shape == (20, corruption.source_length)
    assert target.input_ids.shape == (20, corruption.target_length)
    rows = zip(text.input_ids.tolist(), noise.tolist(), strict=True)
    for row, (tokens, marks) in enumerate(rows):
        found = (source.input_ids, target.input_ids, source.documents, target.documents)
        assert [part[row].tolist() for part in found if part is not None] == list(corrupted(tokens, marks))
        assert restored(source.input_ids[row].tolist(), target.input_ids[row].tolist()) == tokens
    assert torch.equal(corruption.pairs(text, generator()).source.input_ids, source.input_ids)


def restored(source: list[int], target: list[int]) -> list[int]:
    """Each sentinel of the source replaced by what stands behind it in the target."""
    behind: dict[int, list[int]] = {}
    for token in target:
        if token in SENTINEL_IDS:
            span = behind[token] = []
        else:
            span.append(token)
    return [token for mark in source for token in behind.get(mark, [mark])]


@pytest.mark.parametrize(("length", "noise_density", "mean_span_length"), [(128, 0.15, 3), (100, 0.5, 3), (40, 0.3, 8)])
def test_as_much_is_taken_out_as_by_t5(length: int, noise_density: float, mean_span_length: float) -> None:
    """So many tokens, in so many spans."""
    drawn = Corruption.of(length, noise_density, mean_span_length, remedy="").draw(50, generator())
    expected = t5_mask(length, noise_density, mean_span_length, np.random.default_rng(0))
    assert {counts(mask) for mask in drawn.tolist()} == {counts(expected)}


def counts(mask: list[bool]) -> tuple[int, int, bool, bool]:
    """Tokens and spans taken out, and whether the first and last token is."""
    return sum(mask), sum(taken for taken, _ in groupby(mask)), mask[0], mask[-1]


def test_all_masks_are_as_likely() -> None:
    """Each one that the counts allow, by us and by T5's own code (χ²)."""
    length, density, mean = 10, 0.4, 2.0
    allowed = {
        mask
        for chosen in combinations(range(length), 4)
        if counts(list(mask := tuple(place in chosen for place in range(length)))) == (4, 2, False, True)
    }
    drawn = Corruption.of(length, density, mean, remedy="").draw(3000, generator()).tolist()
    random = np.random.default_rng(0)
    for masks in (drawn, [t5_mask(length, density, mean, random) for _ in range(3000)]):
        found = Counter(map(tuple, masks))
        assert set(found) == allowed
        assert chisquare(list(found.values())).pvalue > 0.001


def test_there_must_be_a_sentinel_for_each_span() -> None:
    """And one for the end."""
    assert Corruption.of(198, 0.5, 1, remedy="").spans == 99
    with pytest.raises(StageError, match=r"101 sentinels.*100: shorten it"):
        Corruption.of(200, 0.5, 1, remedy="shorten it")
