"""Ways to disturb a text without changing what it says, one line of the registry each.

Typos are letters that change places (Belinkov and Bisk 2018, §3.2, "swap"); the others are among the perturbations of
CheckList (Ribeiro et al. 2020, §2.2) and of EDA (Wei and Zou 2019, §2).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

import numpy as np

Noise = Callable[[str, np.random.Generator], str]

RATE = 0.1
"""Of all words, how many are touched by what touches single words."""

CONTRACTIONS = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "are not": "aren't",
    "was not": "wasn't", "were not": "weren't", "can not": "can't", "cannot": "can't", "could not": "couldn't",
    "would not": "wouldn't", "should not": "shouldn't", "will not": "won't", "have not": "haven't",
    "has not": "hasn't", "had not": "hadn't", "it is": "it's", "that is": "that's", "there is": "there's",
    "i am": "i'm", "you are": "you're", "we are": "we're", "they are": "they're", "i have": "i've",
}  # fmt: skip
EXPANSIONS = {short: long for long, short in CONTRACTIONS.items() if long != "cannot"}


def typos(text: str, generator: np.random.Generator) -> str:
    """Two neighbouring inner letters of some words change places."""
    return " ".join(_swapped(word, generator) if generator.random() < RATE else word for word in text.split(" "))


def _swapped(word: str, generator: np.random.Generator) -> str:
    if len(word) < 4:
        return word
    place = int(generator.integers(1, len(word) - 2))
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def upper_case(text: str, generator: np.random.Generator) -> str:
    """All letters are capitals."""
    return text.upper()


def lower_case(text: str, generator: np.random.Generator) -> str:
    """No letter is one."""
    return text.lower()


def without_punctuation(text: str, generator: np.random.Generator) -> str:
    """Words alone."""
    return " ".join(text.translate(str.maketrans(string.punctuation, " " * len(string.punctuation))).split())


def dropped_words(text: str, generator: np.random.Generator) -> str:
    """Some words are left out, never all."""
    words = text.split(" ")
    kept = [word for word in words if generator.random() >= RATE]
    return " ".join(kept or words[:1])


def contractions(text: str, generator: np.random.Generator) -> str:
    """ "do not" where there was "don't", and "don't" where there was "do not"."""
    either = CONTRACTIONS | EXPANSIONS
    pattern = r"\b(" + "|".join(map(re.escape, sorted(either, key=len, reverse=True))) + r")\b"
    return re.sub(pattern, lambda found: _cased(either[found[0].lower()], found[0]), text, flags=re.IGNORECASE)


def _cased(word: str, like: str) -> str:
    return word[0].upper() + word[1:] if like[0].isupper() else word


NOISES: dict[str, Noise] = {
    "typos": typos,
    "upper case": upper_case,
    "lower case": lower_case,
    "no punctuation": without_punctuation,
    "dropped words": dropped_words,
    "contractions": contractions,
}
