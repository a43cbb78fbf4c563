"""The compute that every objective gets, and how many steps it buys."""

from __future__ import annotations

from typing import Any

from stages.errors import StageError
from stages.model.config import TransformerConfig
from stages.params import Pretrain
from stages.pretrain.objectives.base import Objective
from stages.training.loop import Plan


def plan(settings: Pretrain, objective: Objective[Any], config: TransformerConfig, share: float = 1.0) -> Plan:
    """What a share of the budget buys of an objective, never more than that.

    Args:
        settings: the budget, the size of a step, and the schedule.
        objective: whose steps are counted.
        config: of the model that it trains.
        share: of the budget.

    Raises:
        StageError: it buys no step.
    """
    budget, seconds = settings.budget, settings.budget.seconds
    cost = objective.flops(config, settings.batch_size, settings.sequence_length)
    tokens = settings.batch_size * settings.sequence_length
    if seconds is not None:
        steps = None
    elif budget.flops is not None:
        steps = _steps(budget.flops * share, cost, f"flops: {budget.flops:g}", share, "floating-point operations")
    else:
        steps = _steps((budget.tokens or 0) * share, tokens, f"tokens: {budget.tokens}", share, "tokens")
    return Plan(
        steps=steps,
        seconds=None if seconds is None else seconds * share,
        evaluations=settings.evaluations,
        warmup=settings.warmup,
        decay=settings.decay,
        max_grad_norm=settings.max_grad_norm,
    )


def _steps(amount: float, cost: int, key: str, share: float, unit: str) -> int:
    if amount < cost:
        part = "" if share == 1 else f" (of which this phase gets {share:g})"
        raise StageError(
            f"params.yaml: pretrain.budget.{key}{part} buys no step, which takes {cost:.4g} {unit}: raise it, or lower "
            "pretrain.batch_size or pretrain.sequence_length"
        )
    return int(amount // cost)
