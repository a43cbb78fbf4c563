"""Differences between models that were trained with several seeds and tested on the same examples.

Two things make a measured difference uncertain: the test examples are a sample, and so are the seeds.
Both are crossed, for every model answers every example. Radiology knows this design as readers × cases,
and its variance of a difference of means has two parts (Obuchowski and Rockette 1995; Hillis 2007):

    what the seeds scatter, divided by their number, and
    the covariance of the seeds' differences over the examples, which more seeds do not lessen.

The scatter is pooled over the objectives and tuning methods of a task, for two seeds alone hardly show it;
where a method or a pair scatters more than the rest, its own counts.

The first rests on few degrees of freedom (two methods, three objectives, two seeds: four), the second on
many examples. Their sum is therefore judged by Cochran's (1964) weighted mean of the two critical values,
which holds its level where Satterthwaite's degrees of freedom, estimated from two seeds, do not: simulated
without any difference, Satterthwaite claims one in up to 12 % of reports, Cochran in 1 to 6 %. A bootstrap over
seeds would be worse: two seeds can be drawn in three mixtures only, and where seeds alone differ its
interval excludes zero every other time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.evaluate.bootstrap import LEVEL, interval

POWER = 0.8
"""How often a difference that is called detectable is found."""

SMALLEST = 1e-12
"""No p-value is told apart below this."""

Scores = NDArray[np.float64]
"""A metric's value a model (rows) and seed (columns); replicates have resamples as their last axis."""


@dataclass(frozen=True)
class Estimate:
    """A difference, its interval and p-value, and what could have been told; the latter two not of a single seed.

    ``detectable`` is the smallest true difference whose interval excludes zero four times in five (Bloom 1995, Minimum
    Detectable Effects): where it is large, that nothing was found says little.
    """

    difference: float
    lower: float
    upper: float
    p: float | None
    detectable: float | None


@dataclass(frozen=True)
class Variance:
    """The two parts of the variance of a difference of means, and the degrees of freedom of the first."""

    seeds: float
    examples: float
    freedom: int

    @property
    def total(self) -> float:
        return self.seeds + self.examples


@dataclass(frozen=True)
class Scatter:
    """How much seeds scatter: the mean square model × seed, of a single score, and its degrees of freedom."""

    mean_square: float
    freedom: int


def scatter(groups: Sequence[Scores]) -> Scatter:
    """Pooled over groups of models that are compared with each other only within their group."""
    squares, freedom = 0.0, 0
    for scores in groups:
        models, seeds = scores.shape
        residual = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
        squares += float((residual**2).sum())
        freedom += (models - 1) * (seeds - 1)
    return Scatter(squares / freedom if freedom else 0.0, freedom)


def difference(scores: Scores, replicates: NDArray[np.float64], first: int, second: int, pooled: Scatter) -> Estimate:
    """How far the mean over seeds of model `first` lies above that of `second`.

    `scores` holds the group that both belong to; `pooled` is the scatter of this group and its like.
    """
    by_seed = scores[first] - scores[second]
    estimate = float(by_seed.mean())
    resampled = replicates[first] - replicates[second]
    if scores.shape[1] == 1:
        lower, upper = interval(resampled[0])
        return Estimate(estimate, float(lower), float(upper), None, None)
    largest = max(pooled.mean_square, scatter([scores]).mean_square, float(by_seed.var(ddof=1)) / 2)
    variance = _variance(2 * largest / len(by_seed), resampled, pooled.freedom)
    error = variance.total**0.5
    half = critical_value(1 - LEVEL, variance) * error
    detectable = half + critical_value(2 * (1 - POWER), variance) * error
    return Estimate(estimate, estimate - half, estimate + half, p_value(estimate, variance), detectable)


def _variance(seeds: float, resampled: NDArray[np.float64], freedom: int) -> Variance:
    """Both parts; together never less than the examples alone would have it.

    Seeds that happen to agree to the last digit must not make the examples' own uncertainty disappear.
    """
    over_examples = float(resampled.mean(axis=0).var(ddof=1))
    return Variance(seeds, max(_example_covariance(resampled), over_examples - seeds), freedom)


def _example_covariance(resampled: NDArray[np.float64]) -> float:
    """The mean covariance over examples between the differences of two seeds; below zero counts as none."""
    covariance = np.cov(resampled)
    return max(0.0, float(covariance[~np.eye(len(covariance), dtype=bool)].mean()))


def critical_value(alpha: float, variance: Variance) -> float:
    """Cochran's: the mean of Student's and the normal quantile, weighted by the parts of the variance."""
    from scipy import special

    student, normal = -special.stdtrit(variance.freedom, alpha / 2), -special.ndtri(alpha / 2)
    if variance.total == 0:
        return float(student)
    return float((variance.seeds * student + variance.examples * normal) / variance.total)


def p_value(estimate: float, variance: Variance) -> float:
    """The two-sided level at which the critical value equals the estimate in standard errors."""
    from scipy.optimize import brentq

    if estimate == 0:
        return 1.0
    distance = abs(estimate) / variance.total**0.5 if variance.total > 0 else float("inf")
    if distance >= critical_value(SMALLEST, variance):
        return SMALLEST
    log_p = brentq(lambda log_p: critical_value(float(np.exp(log_p)), variance) - distance, np.log(SMALLEST), 0.0)
    return float(np.exp(log_p))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being many (Holm 1979): the chance of any false claim stays at the level."""
    ordered = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values)[ordered] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[ordered] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(value) for value in corrected]
