"""Which objectives are compared, and which of their differences may be claimed.

A difference is *carried* when all of these hold, the same for every pair:

1. its 95 % interval over seeds and examples excludes zero, even after Holm's correction for all
   comparisons of the task (`stages.evaluate.statistics`);
2. it has the same sign with every seed, and there are at least two;
3. no run behind it is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.evaluate import statistics
from stages.evaluate.bootstrap import LEVEL, Replicates
from stages.evaluate.schema import Comparison, SeedDifference
from stages.evaluate.statistics import Scatter
from stages.metrics.base import Answers, Metrics

BASELINE = "scratch"
"""The objective that does not pre-train: every other is compared to it."""


@dataclass(frozen=True)
class Group:
    """All objectives under one tuning method: what is compared with each other.

    `scores` is objective × seed; `replicates` and `predictions` have resamples and examples as a third
    axis; `flagged` tells which runs are.
    """

    method: str
    objectives: Sequence[str]
    seeds: Sequence[int]
    scores: NDArray[np.float64]
    replicates: Replicates
    predictions: Answers
    flagged: NDArray[np.bool_]


def pairs(objectives: Sequence[str], means: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Each objective against the baseline, in the given order; then the best against the second best."""
    found = []
    if BASELINE in objectives:
        baseline = list(objectives).index(BASELINE)
        found = [(index, baseline) for index in range(len(objectives)) if index != baseline]
    if len(objectives) > 1:
        best, second = np.argsort(-means, kind="stable")[:2].tolist()
        if (best, second) not in found and (second, best) not in found:
            found.append((best, second))
    return found


@dataclass(frozen=True)
class Yardstick:
    """What models are compared by: a metric of a family, on the labels of the test examples."""

    metric: str
    metrics: Metrics
    labels: Answers


def compare(groups: Sequence[Group], yardstick: Yardstick) -> list[Comparison]:
    """All comparisons of a task, their p-values corrected together."""
    scatter = statistics.scatter([group.scores for group in groups])
    found = [
        _compare(group, scatter, yardstick, first, second)
        for group in groups
        for first, second in pairs(group.objectives, group.scores.mean(axis=1))
    ]
    corrected = statistics.holm([comparison.p for comparison in found if comparison.p is not None])
    if not corrected:
        return found
    return [
        comparison.model_copy(update={"p_holm": p, "carried": comparison.carried and p < 1 - LEVEL})
        for comparison, p in zip(found, corrected, strict=True)
    ]


def _compare(group: Group, scatter: Scatter, yardstick: Yardstick, first: int, second: int) -> Comparison:
    """One comparison before correction: `carried` says whether conditions 2 and 3 hold."""
    estimate = statistics.difference(group.scores, group.replicates, first, second, scatter)
    return Comparison(
        metric=yardstick.metric,
        method=group.method,
        objective=group.objectives[first],
        against=group.objectives[second],
        difference=estimate.difference,
        lower=estimate.lower,
        upper=estimate.upper,
        p=estimate.p,
        p_holm=None,
        detectable=estimate.detectable,
        seeds=_by_seed(group, yardstick, first, second),
        carried=_agree(group.scores[first] - group.scores[second]) and not group.flagged[[first, second]].any(),
    )


def _by_seed(group: Group, yardstick: Yardstick, first: int, second: int) -> list[SeedDifference]:
    return [
        SeedDifference(
            seed=seed,
            difference=float(group.scores[first, index] - group.scores[second, index]),
            p=yardstick.metrics.paired(
                yardstick.labels, group.predictions[first, index], group.predictions[second, index]
            ),
        )
        for index, seed in enumerate(group.seeds)
    ]


def _agree(by_seed: NDArray[np.float64]) -> bool:
    return len(by_seed) > 1 and bool((by_seed > 0).all() or (by_seed < 0).all())
