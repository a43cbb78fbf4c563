"""What the metrics of a family of tasks are: each in two forms that must agree.

A value comes from a library of the field. The bootstrap needs the same metric thousands of times, and there it is
computed for all resamples of all runs at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Answers = NDArray[Any]
"""Labels or predictions, an entry an example: int64 classes, float64 scores, or strings.

Strings are tags with spaces between, texts, or lists of texts in JSON: each family that has them says which.
"""

Weights = NDArray[np.float64]
"""How often each example (columns) stands in each resample (rows): whole numbers."""


class Metrics(ABC):
    """The metrics of a family; the higher, the better."""

    names: ClassVar[tuple[str, ...]]
    """All of them; the first is the one that models are chosen and compared by, unless a task says otherwise."""

    @abstractmethod
    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        """Each metric of predictions (examples,); ``classes`` is how many there are, 0 where answers are no classes."""

    @abstractmethod
    def replicates(
        self, labels: Answers, predictions: Answers, classes: int, weights: Weights
    ) -> dict[str, NDArray[np.float64]]:
        """Each metric of each run on each resample, (runs, resamples), of predictions (runs, examples)."""

    def resampler(
        self, labels: Answers, predictions: Answers, classes: int
    ) -> Callable[[Weights], dict[str, NDArray[np.float64]]]:
        """`replicates` of any weights: what takes time and does not depend on them, a family does here, once."""
        return partial(self.replicates, labels, predictions, classes)

    @abstractmethod
    def paired(self, labels: Answers, first: Answers, second: Answers) -> float | None:
        """The p-value of an exact test that two models are equally good on these examples; None if there is none."""
