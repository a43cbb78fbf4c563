"""Pairs of segments, in a corpus in which every token stands once, so that each row tells where it is from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp

from stages import token_store
from stages.errors import StageError
from stages.pretrain import segments
from stages.pretrain.segments import FOLLOWS, WRONG, SegmentReader, Spoil, foreign, swapped
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS
from tests.pretrain.made import generator

LENGTH = 32
SIZE = LENGTH - 3
HALF = 15
"""The tokens of text that a row holds, and half of that."""

KINDS = {"foreign": foreign, "swapped": swapped}
LENGTHS = [*range(1, 130), *range(1, 130)]


class Traced(NamedTuple):
    """A segment by its document and the first and last place in it."""

    document: int
    first: int
    last: int


def numbered(folder: Path, lengths: list[int]) -> token_store.TokenStore:
    """Documents of these lengths, in which every token is one higher than the one before it."""
    ends = len(SPECIAL_TOKENS) + np.cumsum(lengths)
    texts = [([*range(end - length, end), SEP_ID], length) for end, length in zip(ends.tolist(), lengths, strict=True)]
    token_store.write(folder, texts)
    return token_store.read(folder)


def traced(row: torch.Tensor, lengths: list[int]) -> tuple[Traced, Traced]:
    """Both segments of a row, which must be a stretch of one document each, in the frame that belongs around them."""
    ids = row[row != PAD_ID].tolist()
    assert row.tolist() == ids + [PAD_ID] * (len(row) - len(ids))
    middle = ids.index(SEP_ID)
    assert (ids[0], ids[-1], ids.count(SEP_ID), ids.count(CLS_ID)) == (CLS_ID, SEP_ID, 2, 1)
    return _place(ids[1:middle], lengths), _place(ids[middle + 1 : -1], lengths)


def _place(segment: list[int], lengths: list[int]) -> Traced:
    assert segment == list(range(segment[0], segment[0] + len(segment)))
    ends = np.cumsum(lengths)
    first = segment[0] - len(SPECIAL_TOKENS)
    document = int(np.searchsorted(ends, first, side="right"))
    start = int(ends[document]) - lengths[document]
    found = Traced(document, first - start, first - start + len(segment) - 1)
    assert found.last < lengths[document]
    return found


def size(segment: Traced) -> int:
    return segment.last - segment.first + 1


def rows(reader: SegmentReader, lengths: list[int], epochs: int = 1) -> Iterator[tuple[Traced, Traced, int]]:
    """Every row of some epochs, in batches, with its label."""
    for epoch in range(epochs):
        for start in range(0, len(reader), 16):
            indices = np.arange(start, min(start + 16, len(reader)))
            batch = reader.take(indices, generator(1000 * epoch + start))
            for row, label in zip(batch.input_ids, batch.labels.tolist(), strict=True):
                yield *traced(row, lengths), label


@pytest.fixture
def store(tmp_path: Path) -> token_store.TokenStore:
    """Documents of all lengths, in no order."""
    return numbered(tmp_path / "store", shuffled())


def shuffled() -> list[int]:
    return np.random.default_rng(0).permutation(LENGTHS).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_what_its_label_says(kind: str, store: token_store.TokenStore) -> None:
    """0, as transformers has it: B follows A at once; 1: it is from another document, or the two are swapped."""
    seen = {0: 0, 1: 0}
    for first, second, label in rows(SegmentReader(store, LENGTH, "corpus", KINDS[kind]), shuffled(), epochs=3):
        seen[label] += 1
        if label == 0:
            assert (second.document, second.first) == (first.document, first.last + 1)
        elif kind == "foreign":
            assert second.document != first.document
        else:
            assert (first.document, first.first) == (second.document, second.last + 1)
    assert min(seen.values()) > 100


def test_an_epoch_shows_every_token_of_a_long_enough_document_once(store: token_store.TokenStore) -> None:
    """In rows that are at least half full, as few of each document as can be; documents of less than that are left out.

    Told by swapped pairs, both segments of which are of the row's own chunk.
    """
    lengths = shuffled()
    shown = [set[int]() for _ in lengths]
    count = [0] * len(lengths)
    for first, second, _ in rows(SegmentReader(store, LENGTH, "corpus", swapped), lengths):
        assert HALF <= size(first) + size(second) <= SIZE
        places = {*range(first.first, first.last + 1), *range(second.first, second.last + 1)}
        assert not shown[first.document] & places
        shown[first.document] |= places
        count[first.document] += 1
    for document, length in enumerate(lengths):
        assert shown[document] == (set(range(length)) if length >= HALF else set())
        assert count[document] == (-(-length // SIZE) if length >= HALF else 0)


def test_half_of_a_batch_is_wrong() -> None:
    """Exactly, or by chance the smaller half of an odd one; and every row as often (χ²)."""
    drawn = [segments.balanced(16, generator(seed)) for seed in range(400)]
    assert {int(labels.sum()) for labels in drawn} == {8}
    assert chisquare(torch.stack(drawn).sum(0).numpy()).pvalue > 0.001
    assert {int(segments.balanced(7, generator(seed)).sum()) for seed in range(50)} == {3, 4}
    assert {int(segments.balanced(1, generator(seed)).sum()) for seed in range(50)} == {0, 1}


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_do_not_tell_the_label(kind: str, store: token_store.TokenStore) -> None:
    """Of either segment and of both, they are spread the same whether a pair follows or not."""
    found = list(rows(SegmentReader(store, LENGTH, "corpus", KINDS[kind]), shuffled(), epochs=12))
    sizes = {label: np.array([(size(a), size(b)) for a, b, which in found if which == label]) for label in (0, 1)}
    for measure in ([1, 0], [0, 1], [1, 1]):
        assert ks_2samp(sizes[FOLLOWS] @ measure, sizes[WRONG] @ measure).pvalue > 0.001


def test_every_cut_and_every_other_document_is_as_likely(tmp_path: Path) -> None:
    """χ²; a document too short for the segment is none of them, and neither is the row's own."""
    lengths = [SIZE, 10, SIZE, 15, 20, SIZE, 40]
    reader = SegmentReader(numbered(tmp_path / "store", lengths), LENGTH, "corpus", foreign)
    cuts, others = np.zeros(SIZE, dtype=int), np.zeros(len(lengths), dtype=int)
    for first, second, label in rows(reader, lengths, epochs=1500):
        if lengths[first.document] == SIZE:
            cuts[size(first)] += 1
        if label == WRONG and first.document == 0 and size(second) > 20:
            others[second.document] += 1
    assert cuts[0] == 0
    assert chisquare(cuts[1:]).pvalue > 0.001
    assert others[[0, 1, 3, 4]].sum() == 0
    assert chisquare(others[[2, 5, 6]]).pvalue > 0.001


def test_every_place_of_another_document_is_as_likely(tmp_path: Path) -> None:
    """χ² over where a wrong segment begins, of those as long as can be in the one that there is."""
    lengths = [15, 40]
    reader = SegmentReader(numbered(tmp_path / "store", lengths), LENGTH, "corpus", foreign)
    found = [
        b.first for a, b, label in rows(reader, lengths, 4000) if label == WRONG and a.document == 0 and size(b) == 5
    ]
    assert chisquare(np.bincount(found, minlength=36)).pvalue > 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_no_segment_is_longer_than_another_document_has(kind: str, tmp_path: Path) -> None:
    """Of one long document and a short one, the long one's are cut so that both kinds of pair can be made of them."""
    lengths = [SIZE, 17]
    reader = SegmentReader(numbered(tmp_path / "store", lengths), LENGTH, "corpus", KINDS[kind])
    found = [(first, second) for first, second, _ in rows(reader, lengths, 300) if first.document == 0]
    assert {size(segment) for pair in found for segment in pair if segment.document == 0} == set(range(12, 18))
    assert {size(second) for _, second in found} == set(range(12, 18))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_depends_on_its_generator_alone(kind: str, store: token_store.TokenStore) -> None:
    """The same one makes the same rows of the same chunks, whatever was made between; another one makes others."""
    spoil: Spoil = KINDS[kind]
    reader = SegmentReader(store, LENGTH, "corpus", spoil)
    indices = np.array([3, 1, 4, 15, 9, 2, 6, 5])
    first, other, again = (reader.take(indices, generator(seed)) for seed in (0, 1, 0))
    assert torch.equal(first.input_ids, again.input_ids)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.input_ids, other.input_ids)


@pytest.mark.parametrize("lengths", [[], [60], [60, HALF - 1, HALF - 1]])
def test_a_corpus_without_two_long_enough_documents_is_an_error(lengths: list[int], tmp_path: Path) -> None:
    """Named, with how many there are, and the way out."""
    store = numbered(tmp_path / "store", lengths)
    message = rf"^packed/train: {min(len(lengths), 1)} of .* 15 tokens .*data\.sources .*pretrain\.sequence_length"
    with pytest.raises(StageError, match=message):
        SegmentReader(store, LENGTH, "packed/train", foreign)
