"""Whether a model is right as often as it says (Guo et al. 2017, Calibration of Modern Neural Networks, §2, §4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.diagnose.schema import Bin, Calibration

BINS = 15
"""Of equal width, as in the paper."""


def calibration(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Calibration:
    """From probabilities (examples, classes)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        Bin(
            examples=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for inside in (places == number for number in range(BINS))
        if inside.any()
    ]
    error = sum(each.examples * abs(each.accuracy - each.confidence) for each in bins) / len(labels)
    return Calibration(error=error, temperature=_temperature(probabilities, labels), bins=bins)


def _temperature(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The one whose likelihood of the labels is highest; above 1, the model is too sure."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.clip(probabilities, 1e-12, None))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))
