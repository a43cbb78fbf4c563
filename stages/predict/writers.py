"""One writer per file format: rows come in pieces, and go out as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.corpus.tables import TableWriter
from stages.errors import StageError

Values = dict[str, Any]
Write = Callable[[Sequence[Values]], None]
Writer = Callable[[Path, pa.Schema], AbstractContextManager[Write]]


def get(path: Path) -> Writer:
    """The writer of the format that a file's name tells.

    Raises:
        StageError: there is none.
    """
    if path.suffix.lower() not in WRITERS:
        raise StageError(f"--output {path.name}: predictions are written as one of {', '.join(WRITERS)}")
    return WRITERS[path.suffix.lower()]


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(schema.names)
        yield lambda rows: writer.writerows([cell(row.get(name)) for name in schema.names] for row in rows)


@contextmanager
def _tsv(path: Path, schema: pa.Schema) -> Iterator[Write]:
    """Without quoting, as tsv are read."""

    def line(cells: Sequence[str]) -> str:
        if any(set(text) & {"\t", "\n", "\r"} for text in cells):
            raise StageError("a tab or a line break stands in a text, which a tsv cannot hold: write a csv or jsonl")
        return "\t".join(cells) + "\n"

    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(line(schema.names))
        yield lambda rows: file.writelines(line([cell(row.get(name)) for name in schema.names]) for row in rows)


@contextmanager
def _json_lines(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    """Columns that have no type of their own, for they come from json, are text."""
    texts = {field.name for field in schema if pa.types.is_string(field.type)}

    def typed(row: Values) -> Values:
        return {name: cell(value) if name in texts and value is not None else value for name, value in row.items()}

    with TableWriter(path, schema) as writer:
        yield lambda rows: writer.write(pa.RecordBatch.from_pylist([typed(row) for row in rows], schema))


def cell(value: Any) -> str:
    """A value as text: json where it is more than text, nothing where it is missing."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


WRITERS: dict[str, Writer] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
