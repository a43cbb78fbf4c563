"""Size and quality before and after compression."""

from __future__ import annotations

from stages.evaluate.schema import Compression, Evaluation
from stages.record import Absence
from stages.report.formats import ABSENT, code, interval, mebibytes, number, p_value, percent, points
from stages.report.inputs import Inputs
from stages.report.tables import Table, traced


def compression(inputs: Inputs) -> Table:
    """One row a compressed model, at the end those that there cannot be; quality in percent."""
    header = ["task", "model", "compressor", "size before", "size after", "times smaller",
              "score before", "score after", "kept", "kept, 95 %", "difference", "95 % interval", "p"]  # fmt: skip
    made = [_row(evaluation, item) for evaluation in inputs.evaluations for item in evaluation.compressions]
    absent = [_names(evaluation, item) for evaluation in inputs.evaluations for item in evaluation.uncompressible]
    return Table(header, made + [[*names, *[ABSENT] * (len(header) - len(names))] for names in absent], names=3)


def kept(inputs: Inputs) -> Table:
    """Objective × compressor: what is left of each one's best model; no rows of the best of all alone."""
    compressors = inputs.params.compress.compressors
    cells = {
        (evaluation.task, item.objective, item.compressor): item
        for evaluation in inputs.evaluations
        for item in evaluation.compressions
    }
    asked = [(item.task, compressor) for item in inputs.evaluations if item.compressions for compressor in compressors]
    tried = {name for item in inputs.evaluations for name in inputs.params.pretrain.objectives if item.tried(name)}
    objectives = [name for name in inputs.params.pretrain.objectives if name in tried]
    return Table(
        header=["objective", *(f"{task} {compressor}" for task, compressor in asked)],
        rows=[
            [code(name), *(_left(cells.get((task, name, compressor))) for task, compressor in asked)]
            for name in objectives
            if len(inputs.params.compress.models) > 1
        ],
    )


def _left(item: Compression | None) -> str:
    return ABSENT if item is None else f"{percent(item.after)} ({_kept(item)[0] or ABSENT})"


def _row(evaluation: Evaluation, item: Compression) -> list[str]:
    task = evaluation.task
    before = f"finetune@{item.objective}-{task}-{item.method}-{item.seed}"
    after = f"compress@{task}-{item.compressor}"
    differences = (*_kept(item), points(item.difference), interval(item.lower, item.upper), p_value(item.p))
    return [
        *_names(evaluation, item),
        traced(mebibytes(item.bytes_before), before),
        traced(mebibytes(item.bytes_after), after),
        traced(f"{number(item.bytes_before / item.bytes_after, 2)}×", before, after),
        traced(percent(item.before), before),
        traced(percent(item.after), after),
        *(traced(text, before, after) for text in differences),
    ]


def _names(evaluation: Evaluation, item: Compression | Absence) -> list[str]:
    """Task, model and compressor."""
    return [evaluation.task, code(f"{item.objective}-{item.method}-{item.seed}"), code(item.compressor)]


def _kept(item: Compression) -> tuple[str, str]:
    """The share of the score that is left, and its interval."""
    if item.retention is None or item.retention_lower is None or item.retention_upper is None:
        return "", ""
    return f"{percent(item.retention)} %", f"{percent(item.retention_lower)} – {percent(item.retention_upper)}"
