"""Objective × task under one tuning method."""

from __future__ import annotations

from statistics import mean

from stages.evaluate.schema import NONE, Evaluation
from stages.report.formats import ABSENT, code, number, spread
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.standings import Standing
from stages.report.tables import Table, traced
from stages.report.tables import cell as origin

FLAG = "†"
AVERAGES = ("average", "rank")
"""Over tasks."""


def scores(inputs: Inputs, results: Results, standings: list[Standing], method: str) -> Table:
    """Mean ± standard deviation over seeds in percent; a carried winner is bold, a flagged run marked.

    A task's further sets stand beside it.
    """
    winners = {(standing.task, standing.winner) for standing in standings if standing.method == method}
    flagged = {
        (evaluation.task, flag.objective)
        for evaluation in inputs.evaluations
        for flag in evaluation.flags
        if flag.method == method and flag.compressor == NONE
    }

    def cell(objective: str, evaluation: Evaluation, asked: str, metric: str) -> str:
        task = evaluation.task
        values = [row.value for row in results.cell(objective, asked, method, metric)]
        if not values:
            return ABSENT
        text = spread(values, 1, scale=100)
        if (asked, metric) == (task, evaluation.metric) and (task, objective) in winners:
            text = f"**{text}**"
        text += FLAG if (task, objective) in flagged else ""
        return traced(text, origin(objective, asked, method, metric))

    columns = [
        (evaluation, asked, metric)
        for evaluation in inputs.evaluations
        for asked in evaluation.sets
        for metric in evaluation.metrics
    ]

    summary = _summary(inputs, results, method) if len(inputs.evaluations) > 1 else {}
    return Table(
        header=["objective", *(f"{asked} {metric}" for _, asked, metric in columns), *AVERAGES[: 2 * bool(summary)]],
        rows=[
            [code(objective), *(cell(objective, *column) for column in columns), *summary.get(objective, ())]
            for objective in inputs.params.pretrain.objectives
        ],
    )


def _summary(inputs: Inputs, results: Results, method: str) -> dict[str, tuple[str, str]]:
    """Over all tasks, of each objective its mean of their leading metrics, and its mean rank by them, 1 the best."""
    means = [
        {
            name: mean(row.value for row in rows)
            for name in inputs.params.pretrain.objectives
            if (rows := results.cell(name, evaluation.task, method, evaluation.metric))
        }
        for evaluation in inputs.evaluations
    ]
    ranks = [{name: sum(other > found[name] for other in found.values()) + 1 for name in found} for found in means]
    return {
        name: (
            number(100 * mean(found[name] for found in means), 1),
            number(mean(found[name] for found in ranks), 1),
        )
        if all(name in found for found in means)
        else (ABSENT, ABSENT)
        for name in inputs.params.pretrain.objectives
    }
