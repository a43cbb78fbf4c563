"""Each noise does what it says and nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from stages.diagnose import noises
from stages.diagnose.noises import NOISES
from stages.diagnose.robustness import with_noise

TEXT = "It's a film that I don't like, because the actors do not care: they are (mostly) bored! " * 10


@pytest.mark.parametrize("name", NOISES)
def test_the_same_text_is_always_disturbed_in_the_same_way(name: str) -> None:
    """Whatever stands before it; another one in another way."""
    one, two = (with_noise(name, NOISES[name], [(TEXT,), (TEXT, TEXT)]) for _ in range(2))
    assert one == two
    assert one[0] != (TEXT,)
    if name in ("typos", "dropped words"):
        assert len({one[0][0], one[1][0], one[1][1]}) == 3


def test_typos_keep_letters_and_the_ends_of_words() -> None:
    before, after = TEXT.split(" "), noises.typos(TEXT, np.random.default_rng(0)).split(" ")
    assert len(before) == len(after)
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert 0.02 < len(changed) / len(before) < 0.2
    for one, other in changed:
        assert Counter(one) == Counter(other)
        assert (one[0], one[-1]) == (other[0], other[-1])
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 2


def test_dropped_words_leave_the_others_in_order() -> None:
    before, after = TEXT.split(" "), noises.dropped_words(TEXT, np.random.default_rng(0)).split(" ")
    assert 0.8 < len(after) / len(before) < 0.98
    rest = iter(before)
    assert all(word in rest for word in after)
    assert noises.dropped_words("one", np.random.default_rng(0)) == "one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I do not know.", "I don't know."),
        ("Don't! It's cannot", "Do not! It is can't"),
        ("donut", "donut"),
    ],
)
def test_contractions_go_both_ways(text: str, expected: str) -> None:
    assert noises.contractions(text, np.random.default_rng(0)) == expected


def test_case_and_punctuation() -> None:
    generator = np.random.default_rng(0)
    assert noises.upper_case("aB, c", generator) == "AB, C"
    assert noises.lower_case("aB, C", generator) == "ab, c"
    assert noises.without_punctuation("Well (no), don't!", generator) == "Well no don t"
