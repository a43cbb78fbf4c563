"""Fingerprints and the search for near duplicates, against definitions written out."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import numpy as np
import pytest

from stages.corpus import fingerprints
from stages.corpus.fingerprints import PAIR, concatenate, fingerprint
from stages.corpus.near import Index

Sentences = Callable[..., list[str]]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(max(len(words) - 4, 1))}


def jaccard(left: str, right: str) -> float:
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def edited(text: str, rng: random.Random) -> str:
    """The text with a few words cut, added or changed."""
    words = text.split()
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(words))
        words[place : place + rng.randrange(2)] = rng.choices(["new", "other", "words"], k=rng.randrange(2))
    return " ".join(words)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_the_search_finds_exactly_what_brute_force_finds(sentences: Sentences, threshold: float) -> None:
    rng = random.Random(7)
    held_out = [text for words in (3, 5, 6, 12, 40, 80) for text in sentences(15, seed=words, words=words)]
    texts = [edited(text, rng) for text in held_out * 2] + sentences(50, seed=99)
    expected = [any(jaccard(text, other) >= threshold for other in held_out) for text in texts]
    assert 20 < sum(expected) < len(texts) - 20
    found = Index(fingerprint(held_out), threshold).near(fingerprint(texts))
    assert found.tolist() == expected


def test_shared_phrases_alone_are_no_likeness(sentences: Sentences) -> None:
    phrase = "this is one of the best films that I have ever seen"
    held_out = [f"{text} {phrase}" for text in sentences(40, seed=1, words=30)]
    texts = [f"{text} {phrase}" for text in sentences(40, seed=2, words=30)]
    index = Index(fingerprint(held_out), 0.8)
    assert not index.near(fingerprint(texts)).any()
    assert index.near(fingerprint(held_out)).all()


def test_same_ignores_case_punctuation_and_blanks() -> None:
    index = Index(fingerprint(["Don't  stop, please!", "???"]), 0.8)
    texts = ["dont stop please", "don ' t stop_please .", "do stop please", "???", "!!!", ""]
    assert index.same(fingerprint(texts)).tolist() == [True, True, False, True, False, False]


def test_an_empty_index_and_an_empty_batch() -> None:
    empty, some = fingerprint([]), fingerprint(["a b c d e f"])
    assert Index(empty, 0.8).near(some).tolist() == [False]
    assert Index(empty, 0.8).same(some).tolist() == [False]
    assert len(Index(some, 0.8).near(empty)) == 0


def test_fingerprints_have_one_shingle_for_each_distinct_five_words(sentences: Sentences) -> None:
    texts = [*sentences(20), "a b", "", "...", "one two three four five", "x " * 30]
    prints = fingerprint(texts)
    assert prints.sizes.tolist() == [len(shingles(text)) for text in texts]
    assert len({prints[index].tobytes() for index in range(len(texts))}) == len(texts)


def test_the_fast_way_for_ascii_splits_as_the_general_way(sentences: Sentences) -> None:
    ascii_text = "Don't_split 3,000 WORDS--or\tdo\nso. " + f"a{PAIR}b " + "".join(map(chr, range(32, 127)))
    assert fingerprints.words(ascii_text) == fingerprints.WORD.findall(ascii_text.lower())


def test_a_pair_is_not_its_texts_moved_across_the_border() -> None:
    left, right = fingerprints.keys([f"a b{PAIR}c", f"a{PAIR}b c"])
    assert left != right


def test_batches_do_not_matter(sentences: Sentences) -> None:
    texts = [*sentences(9), "short one", ""]
    whole, parts = (
        fingerprint(texts),
        concatenate([fingerprint(texts[:4]), fingerprint([]), fingerprint(texts[4:])]),
    )
    for field in ("keys", "shingles", "offsets"):
        assert np.array_equal(getattr(whole, field), getattr(parts, field))
    chosen = np.arange(len(texts)) % 2 == 0
    picked = fingerprint([text for text, take in zip(texts, chosen, strict=True) if take])
    assert np.array_equal(whole.select(chosen).shingles, picked.shingles)
