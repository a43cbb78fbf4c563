"""Which split a text belongs to, by its key alone: other rows have no say, so adding some moves none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = range(3)
SPLITS = ("train", "validation", "test")

KEY_RANGE = 2.0**64


def by_key(keys: NDArray[np.uint64], validation: float, test: float) -> NDArray[np.int8]:
    """The split of each key.

    Test takes the low end of the keys and validation the high end, so that changing the share of
    one moves nothing between the other and the rest.
    """
    place = keys / KEY_RANGE
    splits = np.full(len(keys), TRAIN, dtype=np.int8)
    splits[place >= 1 - validation] = VALIDATION
    splits[place < test] = TEST
    return splits


def corpus_validation(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which texts of the corpus are kept for its validation, whichever split they have in a task."""
    return _mix(keys) / KEY_RANGE < share


def _mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64: a second place for each key, independent of the first."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
