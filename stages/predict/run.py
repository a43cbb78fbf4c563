"""From a table of texts to a table of answers, piece by piece: memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages import progress
from stages.artifacts import atomic_file
from stages.errors import StageError
from stages.predict import writers
from stages.predict.predictor import LABEL, Answer, Predictor, Refusal
from stages.predict.rows import Bad, Row, Table
from stages.predict.tally import Tally

ROW, PREFIX = "row", "predicted_"
"""The number of a row; what an answer's column is called if the table has one of its name."""

BATCHES, CHARACTERS = 8, 1 << 22
"""Of a piece at most: batches, which are sorted by length together, and characters, unless one text has more."""


def predict(predictor: Predictor, table: Table, texts: Sequence[str], target: Path, batch_size: int) -> Tally:
    """Write the table's rows with their answers; those that have none are left out.

    Args:
        texts: columns of the table that hold the texts, one or two.

    Raises:
        StageError: no row has an answer; then nothing is written.
    """
    names, tally = _names(predictor, table), Tally(predictor.max_length)
    opened = writers.get(target)
    with atomic_file(target) as temporary:
        with (
            opened(temporary, _schema(names, table)) as write,
            progress.bar(f"predict {table.path.name}", table.count, "rows") as bar,
        ):
            for piece in _pieces(table, texts, batch_size * BATCHES):
                write([_values(names, *row) for row in _answered(predictor, piece, texts, batch_size, tally)])
                bar.advance(len(piece))
        tally.report()
        if not tally.answered:
            raise StageError(f"{table.path.name} has no row that could be predicted: nothing is written")
    return tally


def _names(predictor: Predictor, table: Table) -> dict[str, str]:
    """What each column of ours is called beside the table's own, which keep their names."""
    present = table.schema.names
    names = {name: PREFIX + name if name in present else name for name in (ROW, *predictor.columns)}
    if taken := [name for name in names.values() if name in present]:
        raise StageError(f"{table.path.name} has a column {', '.join(taken)}, which is an answer's name: rename it")
    return names


def _schema(names: dict[str, str], table: Table) -> pa.Schema:
    """The row's number, all columns of the table, the answer."""
    row, *answer = (
        pa.field(name, {ROW: pa.int64(), LABEL: pa.string()}.get(ours, pa.float32())) for ours, name in names.items()
    )
    return pa.schema([row, *table.schema, *answer])


def _values(names: dict[str, str], row: Row, answer: Answer) -> dict[str, Any]:
    answered = {names[name]: value for name, value in answer.values.items()}
    return {names[ROW]: row.number, **row.values, **answered}


def _pieces(table: Table, texts: Sequence[str], count: int) -> Iterator[list[Row | Bad]]:
    piece: list[Row | Bad] = []
    characters = 0
    for row in table.rows():
        piece.append(row)
        characters += _characters(row, texts)
        if len(piece) == count or characters >= CHARACTERS:
            yield piece
            piece, characters = [], 0
    yield piece


def _characters(row: Row | Bad, texts: Sequence[str]) -> int:
    values = [row.values.get(name) for name in texts] if isinstance(row, Row) else []
    return sum(len(value) for value in values if isinstance(value, str))


def _answered(
    predictor: Predictor, piece: Sequence[Row | Bad], texts: Sequence[str], batch_size: int, tally: Tally
) -> Iterator[tuple[Row, Answer]]:
    """The rows that have an answer, with it; what became of each is counted."""
    readable = [row for row in piece if isinstance(row, Row)]
    asked = [[row.values.get(name) for name in texts] for row in readable]
    answers = iter(predictor.answer(asked, texts, batch_size))
    for row in piece:
        if isinstance(row, Bad):
            tally.refuse(row)
        elif isinstance(answer := next(answers), Refusal):
            tally.refuse(Bad(row.number, answer.reason))
        else:
            tally.answer(row.number, answer)
            yield row, answer
