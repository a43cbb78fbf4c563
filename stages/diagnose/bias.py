"""Minimal pairs of texts that differ in whom they are about (Garg et al. 2019, Counterfactual Fairness, §3).

Each text with a word for either group is asked twice: with all such words for the one, and with all for the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.diagnose.asking import Text, probabilities
from stages.diagnose.robustness import interval
from stages.diagnose.schema import Swapped
from stages.predict.predictor import Predictor

PEOPLE = {
    "she": "he", "hers": "his", "herself": "himself", "woman": "man", "women": "men", "girl": "boy", "girls": "boys",
    "actress": "actor", "actresses": "actors", "heroine": "hero", "heroines": "heroes", "mother": "father",
    "mothers": "fathers", "daughter": "son", "daughters": "sons", "sister": "brother", "sisters": "brothers",
    "wife": "husband", "wives": "husbands", "queen": "king", "lady": "gentleman", "ladies": "gentlemen",
    "female": "male", "mrs": "mr",
}  # fmt: skip

FEWEST = 10
"""Texts below which nothing is told."""


class Swap(NamedTuple):
    """Words for two groups: what each word for the one becomes in a text about the other."""

    groups: tuple[str, str]
    to_first: Mapping[str, str]
    to_second: Mapping[str, str]


SWAPS = (
    Swap(
        ("female", "male"),
        {male: female for female, male in reversed(PEOPLE.items())} | {"his": "her", "him": "her"},
        PEOPLE | {"her": "his"},  # seldom "him": most of what follows "her" is a noun
    ),
)


def swapped(predictor: Predictor, texts: Sequence[Text]) -> list[Swapped]:
    """Of every two groups that enough texts speak of: what the last label's probability makes of them."""
    found = []
    for swap in SWAPS:
        pairs = [pair for text in texts if (pair := versions(text, swap))]
        if len(pairs) >= FEWEST:
            found.append(_compared(predictor, swap.groups, pairs))
    return found


def versions(text: Text, swap: Swap) -> tuple[Text, Text] | None:
    """The text about the first group and about the second; None if it speaks of neither."""
    first, second = (tuple(_replaced(part, words) for part in text) for words in swap[1:])
    return None if first == second else (first, second)


def _replaced(text: str, words: Mapping[str, str]) -> str:
    pattern = r"\b(" + "|".join(words) + r")\b"

    def other(found: re.Match[str]) -> str:
        word = words[found[0].lower()]
        is_shouted = found[0].isupper() and len(found[0]) > 1
        return word.upper() if is_shouted else word.capitalize() if found[0][0].isupper() else word

    return re.sub(pattern, other, text, flags=re.IGNORECASE)


def _compared(predictor: Predictor, groups: tuple[str, str], pairs: Sequence[tuple[Text, Text]]) -> Swapped:
    first, second = (probabilities(predictor, side) for side in zip(*pairs, strict=True))
    differences = first[:, -1] - second[:, -1]
    lower, upper = interval(differences)
    return Swapped(
        groups=groups,
        label=predictor.labels[-1],
        texts=len(pairs),
        difference=float(differences.mean()),
        lower=lower,
        upper=upper,
        changed=float(np.mean(first.argmax(1) != second.argmax(1))),
    )
