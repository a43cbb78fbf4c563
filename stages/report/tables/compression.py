"""Size and quality before and after compression."""

from __future__ import annotations

from stages.evaluate.schema import NONE, Compression, Evaluation
from stages.report.formats import code, interval, mebibytes, number, percent, points
from stages.report.inputs import Inputs
from stages.report.results import Results
from stages.report.tables import Table


def sizes(results: Results, task: str, compression: Compression) -> tuple[float, float]:
    """Bytes on disk before and after."""
    before, after = (
        next(row.value for row in cell if row.seed == compression.seed)
        for cell in (
            results.cell(compression.objective, task, compression.method, "bytes", compressor)
            for compressor in (NONE, compression.compressor)
        )
    )
    return before, after


def compression(inputs: Inputs, results: Results) -> Table:
    """One row a compressed model; quality in percent."""
    return Table(
        header=["task", "model", "compressor", "size before", "size after", "times smaller",
                "score before", "score after", "kept", "difference", "95 % interval"],
        rows=[
            _row(evaluation, item, *sizes(results, evaluation.task, item))
            for evaluation in inputs.evaluations
            for item in evaluation.compressions
        ],
        names=3,
    )  # fmt: skip


def _row(evaluation: Evaluation, item: Compression, before: float, after: float) -> list[str]:
    return [
        evaluation.task,
        code(f"{item.objective}-{item.method}-{item.seed}"),
        code(item.compressor),
        mebibytes(before),
        mebibytes(after),
        f"{number(before / after, 2)}×",
        percent(item.before),
        percent(item.after),
        f"{percent(item.after / item.before)} %",
        points(item.difference),
        interval(item.lower, item.upper),
    ]
