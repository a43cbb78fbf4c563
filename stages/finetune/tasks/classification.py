"""Single- and pair-text classification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> dict[str, float]:
    """Accuracy and F1, both in [0, 1], by scikit-learn; F1 of class 1 of two, else the mean over classes.

    Args:
        labels: (examples,), the true classes.
        probabilities: (examples, classes).
    """
    from sklearn.metrics import accuracy_score, f1_score

    predicted = probabilities.argmax(-1)
    average = "binary" if probabilities.shape[1] == 2 else "macro"
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(f1_score(labels, predicted, average=average, zero_division=0)),
    }
