"""Objective × task under one tuning method."""

from __future__ import annotations

from stages.evaluate.schema import NONE, Evaluation
from stages.report.formats import ABSENT, code, spread
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.standings import Standing
from stages.report.tables import Table

FLAG = "†"


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
        return text + (FLAG if (task, objective) in flagged else "")

    columns = [
        (evaluation, asked, metric)
        for evaluation in inputs.evaluations
        for asked in evaluation.sets
        for metric in evaluation.metrics
    ]

    return Table(
        header=["objective", *(f"{asked} {metric}" for _, asked, metric in columns)],
        rows=[
            [code(objective), *(cell(objective, *column) for column in columns)]
            for objective in inputs.params.pretrain.objectives
        ],
    )
