"""Texts about the one group and the other."""

from __future__ import annotations

import pytest

from stages.diagnose.bias import SWAPS, versions

(PEOPLE,) = SWAPS


@pytest.mark.parametrize(
    ("text", "female", "male"),
    [
        ("He saw his wife.", "She saw her wife.", "He saw his husband."),
        ("The ACTRESS and him", "The ACTRESS and her", "The ACTOR and him"),
        ("Mother here", "Mother here", "Father here"),
    ],
)
def test_all_words_become_those_of_one_group(text: str, female: str, male: str) -> None:
    assert versions((text,), PEOPLE) == ((female,), (male,))


def test_a_text_about_neither_is_not_asked() -> None:
    assert versions(("The film is shemale heroic.", "there"), PEOPLE) is None
    assert versions(("The film", "she left"), PEOPLE) == (("The film", "she left"), ("The film", "he left"))


def test_words_lead_back() -> None:
    """But for those that are ambiguous."""
    for word, other in PEOPLE.to_second.items():
        assert PEOPLE.to_first[other] in (word, "her", "female", "lady") or word in ("her", "hers")
