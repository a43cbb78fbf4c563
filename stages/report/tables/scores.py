"""Objective × task under one tuning method."""

from __future__ import annotations

from stages.evaluate.metrics import COMPARED, METRICS
from stages.evaluate.schema import NONE
from stages.report.formats import code, spread
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.standings import Standing
from stages.report.tables import Table

FLAG = "†"


def scores(inputs: Inputs, results: Results, standings: list[Standing], method: str) -> Table:
    """Mean ± standard deviation over seeds in percent; a carried winner is bold, a flagged run marked."""
    tasks = inputs.params.tasks
    winners = {(standing.task, standing.winner) for standing in standings if standing.method == method}
    flagged = {
        (evaluation.task, flag.objective)
        for evaluation in inputs.evaluations
        for flag in evaluation.flags
        if flag.method == method and flag.compressor == NONE
    }

    def cell(objective: str, task: str, metric: str) -> str:
        text = spread([row.value for row in results.cell(objective, task, method, metric)], 1, scale=100)
        if metric == COMPARED and (task, objective) in winners:
            text = f"**{text}**"
        return text + (FLAG if (task, objective) in flagged else "")

    return Table(
        header=["objective", *(f"{task} {metric}" for task in tasks for metric in METRICS)],
        rows=[
            [code(objective), *(cell(objective, task, metric) for task in tasks for metric in METRICS)]
            for objective in inputs.params.pretrain.objectives
        ],
    )
