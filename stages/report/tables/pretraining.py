"""What pre-training reached on held-out text."""

from __future__ import annotations

from stages.report.formats import code, count, scientific, spread
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.tables import Table, cell, traced

DIGITS = {"loss": 3, "perplexity": 1, "bits_per_byte": 3}
COUNTS = ("tokens", "step", "parameters")
NONE = "–"


def pretraining(inputs: Inputs, results: Results) -> Table:
    """Mean ± standard deviation over seeds at the end of the budget, and what it bought."""

    def values(objective: str, metric: str) -> list[float]:
        return [row.value for row in results.cell(objective, "corpus", "pretrain", metric)]

    def row(objective: str) -> list[str]:
        texts = {metric: _spread(values(objective, metric), digits) for metric, digits in DIGITS.items()}
        texts |= {"flops": scientific(values(objective, "flops")[0])}
        texts |= {metric: count(values(objective, metric)) for metric in COUNTS}
        origins = {metric: cell(objective, "corpus", "pretrain", metric) for metric in texts}
        return [code(objective), *(traced(text, origins[metric]) for metric, text in texts.items())]

    return Table(
        header=["objective", "loss", "perplexity", "bits per byte", "FLOPs", "tokens", "steps", "parameters"],
        rows=[row(objective) for objective in inputs.params.pretrain.objectives if values(objective, "flops")],
    )


def _spread(values: list[float], digits: int) -> str:
    return spread(values, digits) if values else NONE
