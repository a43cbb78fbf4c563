"""What a fine-tuned model costs."""

from __future__ import annotations

from stages.report.formats import code, count, mebibytes
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.tables import Table


def models(inputs: Inputs, results: Results) -> Table:
    """Parameters, those that fine-tuning trains, and size on disk; ranges where tasks or seeds differ."""

    def values(objective: str, method: str, metric: str) -> list[float]:
        return [row.value for task in inputs.params.tasks for row in results.cell(objective, task, method, metric)]

    return Table(
        header=["method", "objective", "parameters", "trained in fine-tuning", "largest on disk"],
        rows=[
            [
                code(method),
                code(objective),
                count(values(objective, method, "parameters")),
                count(values(objective, method, "trainable_parameters")),
                mebibytes(max(values(objective, method, "bytes"), default=None)),
            ]
            for method in inputs.params.finetune.methods
            for objective in inputs.params.pretrain.objectives
        ],
        names=2,
    )
