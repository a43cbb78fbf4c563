"""Asking the model that is looked into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.corpus.tables import TEXT_COLUMNS
from stages.predict.predictor import PROBABILITY, Answer, Predictor

Text = tuple[str, ...]
"""The one or two texts of an example."""


def probabilities(predictor: Predictor, texts: Sequence[Text]) -> NDArray[np.float64]:
    """(texts, classes); of a text that nothing can be read of, all classes alike."""
    columns = TEXT_COLUMNS[: len(texts[0])]
    names = [PROBABILITY + label for label in predictor.labels]
    even = [1 / len(names)] * len(names)
    found = predictor.answer(texts, columns)
    return np.array([[one.values[name] for name in names] if isinstance(one, Answer) else even for one in found], float)
