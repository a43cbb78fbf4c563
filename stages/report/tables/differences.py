"""Every comparison between objectives."""

from __future__ import annotations

from stages.report.formats import ABSENT, code, interval, p_value, percent, points
from stages.report.inputs import Inputs
from stages.report.tables import Table


def differences(inputs: Inputs) -> Table:
    """Differences of the mean score in points, with all that decides whether they are carried."""
    return Table(
        header=["task", "method", "objective", "against", "difference", "95 % interval", "by seed",
                "p", "p (Holm)", "detectable", "carried"],
        rows=[
            [
                evaluation.task,
                code(item.method),
                code(item.objective),
                code(item.against),
                points(item.difference),
                interval(item.lower, item.upper),
                ", ".join(points(seed.difference) for seed in item.seeds),
                p_value(item.p),
                p_value(item.p_holm),
                ABSENT if item.detectable is None else percent(item.detectable),
                "**yes**" if item.carried else "no",
            ]
            for evaluation in inputs.evaluations
            for item in evaluation.comparisons
        ],
        names=4,
    )  # fmt: skip
