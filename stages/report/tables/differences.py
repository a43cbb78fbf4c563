"""Every comparison between objectives."""

from __future__ import annotations

from stages.evaluate.schema import Comparison, Evaluation
from stages.report.formats import ABSENT, code, interval, p_value, percent, points
from stages.report.inputs import Inputs
from stages.report.tables import Table, cell, traced


def differences(inputs: Inputs) -> Table:
    """Differences of the mean score in points, with all that decides whether they are carried."""
    return Table(
        header=["task", "method", "objective", "against", "difference", "95 % interval", "by seed",
                "p", "p (Holm)", "detectable", "carried"],
        rows=[_row(evaluation, item) for evaluation in inputs.evaluations for item in evaluation.comparisons],
        names=4,
    )  # fmt: skip


def _row(evaluation: Evaluation, item: Comparison) -> list[str]:
    sides = [
        cell(objective, evaluation.task, item.method, evaluation.metric) for objective in (item.objective, item.against)
    ]
    numbers = [
        points(item.difference),
        interval(item.lower, item.upper),
        ", ".join(points(seed.difference) for seed in item.seeds),
        p_value(item.p),
        p_value(item.p_holm),
        ABSENT if item.detectable is None else percent(item.detectable),
        "**yes**" if item.carried else "no",
    ]
    return [
        evaluation.task,
        *map(code, (item.method, item.objective, item.against)),
        *(traced(number, *sides) for number in numbers),
    ]
