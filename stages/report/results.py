"""The tidy table of all numbers, ``reports/results.csv``: an interface that other programs read.

Columns are only ever added at the end.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from stages.evaluate.schema import NONE, Row
from stages.report.inputs import Inputs, Pretraining
from stages.zero_shot.schema import Accuracies, Accuracy, ZeroShot

COLUMNS = list(Row.model_fields)

ZERO_SHOT = "zero_shot"
"""The method of what is measured without any tuning."""

PRETRAINING = (
    *("loss", "perplexity", "bits_per_byte", "tokens", "step", "parameters", "flops"),
    *("earlier_loss", "forgotten"),
)


class Results:
    """All rows, and the values of a cell over its seeds."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self._cells: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows:
            cell = (row.objective, row.task, row.method, row.compressor, row.metric)
            self._cells.setdefault(cell, []).append(row)

    def cell(self, objective: str, task: str, method: str, metric: str, compressor: str = NONE) -> list[Row]:
        """The rows of one figure, a row a seed; empty if it was not measured."""
        return self._cells.get((objective, task, method, compressor, metric), [])


def collect(inputs: Inputs) -> Results:
    """Pre-training first, then minimal pairs, then each task, in the order of `params.yaml`."""
    pretraining = [row for figures in inputs.pretraining for row in _pretraining_rows(figures)]
    zero_shot = [row for item in inputs.zero_shot for row in _zero_shot_rows(item)]
    return Results([*pretraining, *zero_shot, *(row for evaluation in inputs.evaluations for row in evaluation.rows)])


def to_csv(results: Results) -> str:
    """The table as csv: whole numbers in full, others with six significant digits, what is unknown empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_field(getattr(row, column)) for column in COLUMNS] for row in results.rows)
    return text.getvalue()


def _field(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def scored(mode: str) -> str:
    """The metric of minimal pairs that are scored in one way: ``accuracy_causal``."""
    return f"accuracy_{mode}"


def _zero_shot_rows(found: ZeroShot) -> list[Row]:
    """Of each way to score, all pairs and then each phenomenon, which is a task of its own: ``blimp/binding``."""
    return [
        Row(
            objective=found.objective,
            task=task,
            method=ZERO_SHOT,
            compressor=NONE,
            seed=found.seed,
            split="test",
            metric=scored(mode),
            value=figure.accuracy,
            lower=figure.lower,
            upper=figure.upper,
            examples=figure.pairs,
        )
        for mode, accuracies in found.modes.items()
        for task, figure in _by_task(found.source, accuracies).items()
    ]


def _by_task(source: str, accuracies: Accuracies) -> dict[str, Accuracy]:
    return {source: accuracies.overall} | {f"{source}/{name}": each for name, each in accuracies.phenomena.items()}


def _pretraining_rows(figures: Pretraining) -> list[Row]:
    return [
        Row(
            objective=figures.objective,
            task="corpus",
            method="pretrain",
            compressor=NONE,
            seed=figures.seed,
            split=figures.split,
            metric=metric,
            value=getattr(figures, metric),
        )
        for metric in PRETRAINING
        if getattr(figures, metric) is not None
    ]
