"""One reader per file format; all of them stream.

csv, tsv and jsonl carry no types that can be trusted over a whole file, so their columns are read
as text; parquet keeps its own. A tsv has no quoting, as GLUE's have none. A plain text file has one
text per line, or per paragraph where the source says `sample_by: paragraph`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stages.corpus.tables import ROW_GROUP
from stages.errors import StageError

BLOCK = 16 << 20
"""Bytes read at a time; no csv row may be longer."""

T = TypeVar("T")

COMPRESSIONS = (".gz", ".bz2", ".zst", ".xz", ".lz4")


@dataclass(frozen=True)
class Request:
    """What is wanted of a file: these columns; of plain text, this unit as the first of them."""

    columns: Sequence[str]
    sample_by: str = "line"


Batches = Iterator[pa.RecordBatch]
Reader = Callable[[Path, Request], Batches]


def read(path: Path, request: Request, name: str | None = None) -> Batches:
    """Stream a file's rows.

    Args:
        path: where the bytes lie.
        request: which columns.
        name: what the file is called for its owner, if not as `path`; its suffix tells the format.

    Raises:
        StageError: an unknown format, a missing column, bytes that are not UTF-8, a broken file.
    """
    name = name or path.name
    reader = READERS[file_format(name)]
    try:
        yield from reader(path, request)
    except json.JSONDecodeError as error:
        raise StageError(f"{name} is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise StageError(f"{name} is not UTF-8: convert it, for example with `iconv -t UTF-8`") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise StageError(_explain(name, str(error))) from None
    except StageError as error:
        raise StageError(f"{name}: {error}") from None


def file_format(name: str) -> str:
    """The format that a file's name tells, seen through a compression suffix.

    Raises:
        StageError: it tells none.
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in READERS:
        raise StageError(f"{name} has no format that can be read; use one of {', '.join(READERS)}")
    return suffixes[-1]


def _explain(name: str, message: str) -> str:
    if re.search(r"UTF-?8", message, re.IGNORECASE):
        return f"{name} is not UTF-8: convert it, for example with `iconv -t UTF-8`"
    return f"{name} cannot be read: {message.splitlines()[0] if message else 'unknown reason'}"


def _require(columns: Sequence[str], present: Iterable[str]) -> None:
    present = list(present)
    if missing := [column for column in columns if column not in present]:
        raise StageError(
            f"column {', '.join(missing)} is missing; it has {', '.join(present)}: correct the source in params.yaml"
        )
    if twice := [column for column in columns if present.count(column) > 1]:
        raise StageError(f"column {', '.join(twice)} is there more than once: give each a name of its own in the file")


def _delimited(parse: pacsv.ParseOptions, path: Path, request: Request) -> Batches:
    with pa.input_stream(path) as stream:
        try:
            header = pacsv.open_csv(stream, pacsv.ReadOptions(block_size=BLOCK), parse).schema.names
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise
    _require(request.columns, header)
    convert = pacsv.ConvertOptions(
        include_columns=list(request.columns), column_types=dict.fromkeys(request.columns, pa.string())
    )
    with pa.input_stream(path) as stream:
        yield from pacsv.open_csv(stream, pacsv.ReadOptions(block_size=BLOCK), parse, convert)


def _json_lines(path: Path, request: Request) -> Batches:
    for lines in _chunks(_lines(path)):
        rows = [_json_row(line) for line in lines if line.strip()]
        for row in rows:
            _require(request.columns, row)
        columns = [[_as_text(row[column]) for row in rows] for column in request.columns]
        yield pa.record_batch([pa.array(column, pa.string()) for column in columns], list(request.columns))


def _json_row(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise StageError(f"a line is not JSON ({error}): {line.strip()[:60]!r}") from None
    if not isinstance(row, dict):
        raise StageError(f"a line is not a JSON object: {line.strip()[:60]!r}")
    return row


def _as_text(value: object) -> str | None:
    """A list, as one of words, with spaces between; an object in JSON."""
    if value is None or isinstance(value, str):
        return value
    return " ".join(map(str, value)) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


def _parquet(path: Path, request: Request) -> Batches:
    with pq.ParquetFile(path) as file:
        _require(request.columns, file.schema_arrow.names)
        for batch in file.iter_batches(ROW_GROUP, columns=list(request.columns)):
            yield batch.select(list(request.columns))


def _plain(path: Path, request: Request) -> Batches:
    _require(request.columns, request.columns[:1])
    pieces: Iterable[str] = _lines(path)
    if request.sample_by == "paragraph":
        groups = groupby(pieces, lambda line: bool(line.strip()))
        pieces = ("".join(lines) for filled, lines in groups if filled)
    texts = (piece.strip() for piece in pieces if piece.strip())
    for batch in _chunks(texts):
        yield pa.record_batch([pa.array(batch, pa.string())], list(request.columns))


def _squad(path: Path, request: Request) -> Batches:
    """Questions with their answers, and the paragraphs that hold them (SQuAD's own files)."""
    with pa.input_stream(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        content = json.load(text)
    try:
        questions = list(_questions(content))
    except (KeyError, TypeError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else error
        raise StageError(
            f"it is not in SQuAD's format, the only one read of .json ({reason}): write a .jsonl, an object a line"
        ) from None
    for rows in _chunks(questions):
        _require(request.columns, rows[0])
        columns = [[_as_text(row.get(name)) for row in rows] for name in request.columns]
        yield pa.record_batch([pa.array(column, pa.string()) for column in columns], list(request.columns))


def _questions(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                beside = {"title": article.get("title"), "context": paragraph["context"]}
                yield {**question, **beside, "answers": _answers(question)}


def _answers(question: dict[str, Any]) -> dict[str, list[Any]]:
    """As the hub has them."""
    given = question.get("answers") or []
    return {name: [answer[name] for answer in given] for name in ("text", "answer_start")}


def _conll(path: Path, request: Request) -> Batches:
    """A word a line, its tag behind it in the last column, sentences parted by empty lines (CoNLL-2003, §2)."""
    text, *_, tags = request.columns if len(request.columns) > 1 else [request.columns[0], ""]
    groups = groupby(_lines(path), lambda line: bool(line.strip()) and not line.startswith("-DOCSTART-"))
    sentences = ([line.split() for line in lines] for filled, lines in groups if filled)
    for chunk in _chunks(sentences):
        columns = {name: [" ".join(row[at] for row in rows) for rows in chunk] for name, at in ((tags, -1), (text, 0))}
        yield pa.record_batch([pa.array(columns[name], pa.string()) for name in request.columns], list(request.columns))


def _lines(path: Path) -> Iterator[str]:
    with pa.input_stream(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        yield from text


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, ROW_GROUP)):
        yield chunk


READERS: dict[str, Reader] = {
    ".csv": partial(_delimited, pacsv.ParseOptions(newlines_in_values=True)),
    ".tsv": partial(_delimited, pacsv.ParseOptions(delimiter="\t", quote_char=False)),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".txt": _plain,
    ".conll": _conll,
    ".json": _squad,
}
