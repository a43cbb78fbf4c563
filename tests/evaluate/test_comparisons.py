from __future__ import annotations

import numpy as np
import pytest

from stages.evaluate import statistics
from stages.evaluate.comparisons import Group, Yardstick, compare, pairs
from stages.metrics.classification import Classification

YARDSTICK = Yardstick("accuracy", Classification(), np.zeros(4, dtype=np.int64))


def group(by_seed: list[list[float]], flagged: bool = False) -> Group:
    """Two objectives whose accuracies are known without uncertainty over examples."""
    scores = np.array(by_seed)
    return Group(
        method="frozen",
        objectives=["scratch", "mlm"],
        seeds=list(range(scores.shape[1])),
        scores=scores,
        replicates=np.repeat(scores[..., None], 10, axis=2),
        predictions=np.zeros((*scores.shape, 4), dtype=np.int64),
        flagged=np.full(scores.shape, flagged),
    )


def carried(found: Group) -> bool:
    return compare([found], YARDSTICK)[0].carried


def test_each_objective_meets_the_baseline_and_the_best_meets_the_second() -> None:
    assert pairs(["scratch", "mlm", "clm"], np.array([0.5, 0.6, 0.7])) == [(1, 0), (2, 0), (2, 1)]
    assert pairs(["mlm", "scratch"], np.array([0.5, 0.6])) == [(0, 1)]
    assert pairs(["mlm", "clm", "rtd"], np.array([0.5, 0.7, 0.6])) == [(1, 2)]
    assert pairs(["mlm"], np.array([0.5])) == []


def test_a_difference_far_beyond_the_seeds_scatter_is_carried() -> None:
    assert carried(group([[0.60, 0.61, 0.60], [0.80, 0.81, 0.79]]))


@pytest.mark.parametrize(
    "by_seed",
    [[[0.60, 0.61], [0.80, 0.59]], [[0.6], [0.9]], [[0.60, 0.70], [0.65, 0.80]], [[0.6, 0.6], [0.6, 0.6]]],
    ids=["signs differ", "one seed", "scatter", "equal"],
)
def test_what_the_seeds_do_not_carry_is_not_claimed(by_seed: list[list[float]]) -> None:
    assert not carried(group(by_seed))


def test_a_flagged_run_carries_nothing() -> None:
    assert not carried(group([[0.60, 0.61, 0.60], [0.80, 0.81, 0.79]], flagged=True))


def test_more_comparisons_ask_for_more() -> None:
    alone = group([[0.60, 0.61, 0.60], [0.66, 0.70, 0.67]])
    equal = group([[0.60, 0.66, 0.62], [0.60, 0.66, 0.62]])
    first = compare([alone], YARDSTICK)
    among = compare([alone, equal, equal], YARDSTICK)
    assert first[0].p_holm == first[0].p
    assert [item.p_holm for item in among] == statistics.holm([item.p for item in among if item.p is not None])
    assert among[0].p_holm == 3 * among[0].p
