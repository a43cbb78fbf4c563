"""Cleaning."""

from __future__ import annotations

import pytest

from stages.corpus.clean import clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Great.<br /><br />Loved it.<BR>Yes<br/>", "Great.\nLoved it.\nYes"),
        ("  two\t\tblanks   here\u00a0too ", "two blanks here too"),
        ("one\r\n \r\n\n two \n", "one\ntwo"),
        ("it\x92s \x93fine\x94 \x96 so\x85", "it\u2019s \u201cfine\u201d \u2013 so\u2026"),
        ("a\x00b\x07c\x1fd\x7fe", "abcde"),
        ("zero\u200bwidth soft\u00adhyphen \ufeffmark", "zerowidth softhyphen mark"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("3 < 4 and <b>bold</b>", "3 < 4 and <b>bold</b>"),
        ("", ""),
        (" \n\t", ""),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean(cleaned) == cleaned
