"""The tidy table of all numbers, ``reports/results.csv``: an interface that other programs read.

Columns are only ever added at the end.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from stages.evaluate.schema import NONE, Row
from stages.report.inputs import Inputs, Pretraining

COLUMNS = list(Row.model_fields)

PRETRAINING = ("loss", "perplexity", "bits_per_byte", "tokens", "step", "parameters")


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
    """Pre-training first, then each task, in the order of `params.yaml`."""
    pretraining = [row for figures in inputs.pretraining for row in _pretraining_rows(figures)]
    return Results([*pretraining, *(row for evaluation in inputs.evaluations for row in evaluation.rows)])


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
    ]
