"""What a fine-tuned model costs."""

from __future__ import annotations

from stages.report.formats import code, count, mebibytes
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.tables import Table, cell, traced


def models(inputs: Inputs, results: Results) -> Table:
    """Parameters, those that fine-tuning trains, and size on disk; ranges where tasks or seeds differ."""

    def values(objective: str, method: str, metric: str) -> list[float]:
        return [row.value for task in inputs.params.tasks for row in results.cell(objective, task, method, metric)]

    def origins(objective: str, method: str, metric: str) -> list[str]:
        return [cell(objective, task, method, metric) for task in inputs.params.tasks]

    def row(objective: str, method: str) -> list[str]:
        texts = {metric: count(values(objective, method, metric)) for metric in ("parameters", "trainable_parameters")}
        texts |= {"bytes": mebibytes(max(values(objective, method, "bytes"), default=None))}
        numbers = [traced(text, *origins(objective, method, metric)) for metric, text in texts.items()]
        return [code(method), code(objective), *numbers]

    return Table(
        header=["method", "objective", "parameters", "trained in fine-tuning", "largest on disk"],
        rows=[
            row(objective, method)
            for method in inputs.params.finetune.methods
            for objective in inputs.params.pretrain.objectives
        ],
        names=2,
    )
