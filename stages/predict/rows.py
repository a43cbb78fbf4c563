"""The rows of a table in a file, one after the other; one that cannot be read costs the others nothing.

The columns of a csv or tsv are text, and are decoded row by row, so that bytes that are not UTF-8 are that row's fault
alone. A tsv has no quoting, as GLUE's have none. Rows are numbered from 1; the header and blank lines are no rows.
"""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stages.corpus import readers
from stages.corpus.tables import ROW_GROUP, TEXT_COLUMNS
from stages.errors import StageError


@dataclass(frozen=True)
class Row:
    """A row's number and its values by column."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Bad:
    """A row's number and why it is left out."""

    number: int
    reason: str


Rows = Iterator[Row | Bad]


@dataclass(frozen=True)
class Table:
    """A file of rows.

    Attributes:
        schema: all columns that its rows have.
        count: its rows, bad ones among them.
    """

    path: Path
    schema: pa.Schema
    count: int

    def rows(self) -> Rows:
        """All of them, in order.

        Raises:
            StageError: the file is broken beyond single rows.
        """
        yield from _read(self.path)

    def text_columns(self, named: Sequence[str] | None) -> list[str]:
        """Those that hold the texts: what was named, or else ``text``, and ``text_pair`` if it is there.

        Raises:
            StageError: one is missing.
        """
        present = self.schema.names
        columns = list(named or [name for name in TEXT_COLUMNS if name in present] or TEXT_COLUMNS[:1])
        if missing := [name for name in columns if name not in present]:
            raise StageError(
                f"{self.path.name} has no column {', '.join(missing)}; it has {', '.join(present) or 'none'}: "
                "say with --text which one holds the text (or which two, for pairs)"
            )
        return columns


def survey(path: Path) -> Table:
    """Read a file through, which costs little beside a model: what is wrong with all of it is known at once.

    Raises:
        StageError: it is missing, of an unknown format, or broken beyond single rows.
    """
    if path.suffix == ".parquet" and path.is_file():
        with _explained(path):
            return Table(path, pq.read_schema(path).remove_metadata(), pq.read_metadata(path).num_rows)
    count, columns = 0, dict[str, None]()
    for row in _read(path):
        count += 1
        if isinstance(row, Row):
            columns |= dict.fromkeys(row.values)
    return Table(path, pa.schema([(name, pa.string()) for name in columns]), count)


def _read(path: Path) -> Rows:
    if not path.is_file():
        raise StageError(f"{path} is missing: name a table with a text in each row")
    if (kind := readers.file_format(path.name)) not in READERS:
        raise StageError(f"{path.name} is no table: write its texts into one of {', '.join(READERS)}")
    with _explained(path):
        yield from READERS[kind](path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, pa.ArrowInvalid, OSError) as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise StageError(f"{path.name} cannot be read: {reason}") from None


def _delimited(options: dict[str, Any], path: Path) -> Rows:
    bad: deque[Bad] = deque()

    def skip(row: pacsv.InvalidRow) -> str:
        bad.append(Bad(row.number - 1, f"it has {row.actual_columns} columns, the header {row.expected_columns}"))
        return "skip"

    columns, number = _header(options, path), 0
    if not columns:
        return
    parse = pacsv.ParseOptions(**options, invalid_row_handler=skip)
    convert = pacsv.ConvertOptions(column_types=dict.fromkeys(columns, pa.binary()), strings_can_be_null=False)
    with pa.input_stream(path) as stream:
        for batch in pacsv.open_csv(stream, _in_order(), parse, convert):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                while bad and bad[0].number == number:
                    yield bad.popleft()
                    number += 1
                yield _decoded(number, columns, values)
    yield from bad


def _header(options: dict[str, Any], path: Path) -> list[str]:
    """Names of the columns; none if there is not even a header."""
    try:
        with pa.input_stream(path) as stream:
            parse = pacsv.ParseOptions(**options, invalid_row_handler=lambda _: "skip")
            names: list[str] = pacsv.open_csv(
                stream, _in_order(), parse, pacsv.ConvertOptions(check_utf8=False)
            ).schema.names
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return []
        raise
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StageError(f"{path.name} has two columns {', '.join(twice)}: rename one")
    return names


def _in_order() -> pacsv.ReadOptions:
    """On one thread, which alone can tell the number of a row that it skips."""
    return pacsv.ReadOptions(block_size=readers.BLOCK, use_threads=False)


def _decoded(number: int, columns: Sequence[str], values: Sequence[bytes]) -> Row | Bad:
    try:
        return Row(number, {name: value.decode() for name, value in zip(columns, values, strict=True)})
    except UnicodeDecodeError:
        return Bad(number, "it is not UTF-8")


def _json_lines(path: Path) -> Rows:
    with pa.input_stream(path) as stream, io.BufferedReader(stream) as lines:
        for number, line in enumerate((line for line in lines if line.strip()), start=1):
            yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row | Bad:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Bad(number, "it is not UTF-8")
    except (ValueError, RecursionError) as error:
        return Bad(number, f"it is not JSON ({error})")
    return Row(number, values) if isinstance(values, dict) else Bad(number, "it is no JSON object")


def _parquet(path: Path) -> Rows:
    with pq.ParquetFile(path) as file:
        rows = (values for batch in file.iter_batches(ROW_GROUP) for values in batch.to_pylist())
        yield from (Row(number, values) for number, values in enumerate(rows, start=1))


READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": partial(_delimited, {"newlines_in_values": True}),
    ".tsv": partial(_delimited, {"delimiter": "\t", "quote_char": False}),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
