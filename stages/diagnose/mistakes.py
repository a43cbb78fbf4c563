"""The test examples of which a model is surest among those that it gets wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.diagnose.asking import Text
from stages.diagnose.schema import Mistake

LONGEST = 400
"""Characters of a text that are shown."""


def mistakes(
    ids: Sequence[str],
    texts: Sequence[Text],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    names: Sequence[str],
    count: int,
) -> list[Mistake]:
    """The surest first."""
    said, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(said != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [
        Mistake(
            id=ids[place],
            text=_shortened(" / ".join(texts[place])),
            label=names[labels[place]],
            prediction=names[said[place]],
            confidence=float(confidence[place]),
        )
        for place in order.tolist()
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(' ', 1)[0]} …"
