"""What a budget buys."""

from __future__ import annotations

from typing import Any

import pytest

from stages import params
from stages.errors import StageError
from stages.params import Pretrain
from stages.pretrain import budget
from tests.pretrain import made

TOKENS = made.BATCH * made.LENGTH


def pretrain(**amount: float) -> Pretrain:
    """The committed settings with another budget and the tests' batches."""
    content = params.load().pretrain.model_dump() | {"batch_size": made.BATCH, "sequence_length": made.LENGTH}
    return params.parse(Pretrain, content | {"budget": amount}, "params.yaml: pretrain")


@pytest.mark.parametrize("name", ["mlm", "clm"])
@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("amount", [0.999, 1.0, 7.5, 1234.0])
def test_steps_are_within_one_of_the_budget(name: str, share: float, amount: float) -> None:
    """Never more than it buys, and less than one step is left over; in FLOPs and in tokens."""
    objective = made.objective_of(name)
    config = objective.configure(made.ENCODER)
    cost = objective.flops(config, made.BATCH, made.LENGTH)
    for unit, price in (("flops", cost), ("tokens", TOKENS)):
        given = int(amount * price / share)
        if int(given * share) < price:
            with pytest.raises(StageError, match=rf"pretrain\.budget\.{unit}.*buys no step.*batch_size"):
                budget.plan(pretrain(**{unit: given}), objective, config, share)
        else:
            steps = budget.plan(pretrain(**{unit: given}), objective, config, share).steps
            assert steps is not None
            assert steps * price <= given * share < (steps + 1) * price


def test_a_budget_in_seconds_has_no_number_of_steps() -> None:
    plan = budget.plan(pretrain(seconds=60), made.objective_of("clm"), made.ENCODER, 0.5)
    assert (plan.steps, plan.seconds) == (None, 30)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ({"flops": 0}, r"pretrain: budget\.flops: .*greater than 0"),
        ({"tokens": 0}, r"pretrain: budget\.tokens: .*greater than 0"),
        ({"tokens": 5, "flops": 1e9}, "budget: give one of flops, tokens, seconds, not flops, tokens"),
        ({}, "budget: give one of flops, tokens, seconds, not none"),
        ({"hours": 1}, r"budget\.hours: unknown key"),
    ],
)
def test_errors_name_the_key(amount: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=message):
        pretrain(**amount)
