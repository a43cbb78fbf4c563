"""How much of the answer survives compression: whether the objective that was better before is better afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stages.evaluate import bootstrap
from stages.evaluate.schema import Order

FEWEST = 3
"""Of fewer objectives an order tells nothing."""

Scores = NDArray[np.float64]


def order(compressor: str, before: tuple[Scores, Scores], after: tuple[Scores, Scores]) -> Order | None:
    """The rank correlation of objectives' scores; None of fewer than three, or where all score the same.

    Args:
        before: of each objective's model its score, and those on resamples, (objectives, resamples).
        after: the same of what the compressor made of it.
    """
    if len(before[0]) < FEWEST or any(_is_flat(scores) for scores in (before[0], after[0])):
        return None
    lower, upper = bootstrap.interval(np.array(_replicates(before[1].T, after[1].T))).tolist()
    return Order(
        compressor=compressor, objectives=len(before[0]), rho=_rho(before[0], after[0]), lower=lower, upper=upper
    )


def _replicates(before: Scores, after: Scores) -> Sequence[float]:
    """Of the resamples in which scores differ."""
    pairs = zip(before, after, strict=True)
    return [_rho(one, other) for one, other in pairs if not (_is_flat(one) or _is_flat(other))]


def _rho(before: Scores, after: Scores) -> float:
    return float(stats.spearmanr(before, after).statistic)


def _is_flat(scores: Scores) -> bool:
    return bool(np.ptp(scores) == 0)
