"""How many answers stay right when texts are disturbed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.diagnose.asking import Text, probabilities
from stages.diagnose.noises import NOISES, Noise
from stages.diagnose.schema import Disturbed
from stages.evaluate.bootstrap import LEVEL
from stages.predict.predictor import Predictor
from stages.training import randomness


def disturbed(
    predictor: Predictor, texts: Sequence[Text], labels: NDArray[np.int64], answers: NDArray[np.int64]
) -> list[Disturbed]:
    """Under every noise; ``answers`` are those to the texts as they are."""
    return [
        _compared(name, labels, answers, probabilities(predictor, with_noise(name, noise, texts)).argmax(1))
        for name, noise in NOISES.items()
    ]


def with_noise(name: str, noise: Noise, texts: Sequence[Text]) -> list[Text]:
    """Each text disturbed by draws of its own."""

    def one(place: int, side: int, part: str) -> str:
        return noise(part, randomness.numpy_generator(0, f"noise/{name}/{side}", place))

    return [tuple(one(place, side, part) for side, part in enumerate(text)) for place, text in enumerate(texts)]


def _compared(name: str, labels: NDArray[np.int64], before: NDArray[np.int64], after: NDArray[np.int64]) -> Disturbed:
    drops = (before == labels).astype(float) - (after == labels)
    lower, upper = interval(drops)
    return Disturbed(
        noise=name,
        accuracy=float((after == labels).mean()),
        drop=float(drops.mean()),
        lower=lower,
        upper=upper,
        changed=float((before != after).mean()),
    )


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """That of a mean over examples, from their own spread (the central limit)."""
    from scipy.special import ndtri

    half = float(ndtri(1 - (1 - LEVEL) / 2) * values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return float(values.mean()) - half, float(values.mean()) + half
