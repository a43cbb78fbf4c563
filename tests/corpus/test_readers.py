"""Readers, against pandas; and what they say of files that are not as they should be."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.corpus import readers
from stages.corpus.readers import Request, read
from stages.corpus.tables import TableWriter
from stages.errors import StageError

ROWS = [
    {"text": 'She said "no",\nthen left.\r\n', "label": "0"},
    {"text": "", "label": "1"},
    {"text": "naïve – “quoted”\ttab", "label": "1"},
    {"text": "123", "label": "0"},
    {"text": "long " * 50_000, "label": "1"},
    {"text": "NA", "label": "0"},
]


def rows(path: Path, columns: tuple[str, ...] = ("text", "label"), sample_by: str = "line") -> list[dict[str, str]]:
    batches = list(read(path, Request(columns, sample_by)))
    return pa.Table.from_batches(batches).to_pylist() if batches else []


def write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label", "other"])
        writer.writeheader()
        writer.writerows({**row, "other": "x"} for row in ROWS)


def test_csv_reads_as_pandas_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "a.csv")
    expected = pd.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False, usecols=["text", "label"])
    assert rows(tmp_path / "a.csv") == expected.to_dict("records")
    monkeypatch.setattr(readers, "BLOCK", 300_000)  # a block border falls between the rows
    assert rows(tmp_path / "a.csv") == expected.to_dict("records")


def test_tsv_has_no_quoting_as_in_glue(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\nan "open quote\t1\n"whole"\t0\n', encoding="utf-8")
    expected = pd.read_csv(tmp_path / "a.tsv", sep="\t", dtype=str, quoting=csv.QUOTE_NONE)
    assert rows(tmp_path / "a.tsv") == expected.to_dict("records")


def test_jsonl_columns_are_text(tmp_path: Path) -> None:
    lines = [
        {"text": "a\nb", "label": 1},
        {"text": "c", "label": 0.5, "more": []},
        {"text": None, "label": "x"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert [row["label"] for row in rows(tmp_path / "a.jsonl")] == ["1", "0.5", "x"]
    assert [row["text"] for row in rows(tmp_path / "a.jsonl")] == ["a\nb", "c", None]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1], "other": [1.0, 2.0]}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet", ("label", "text")) == [
        {"label": 0, "text": "a"},
        {"label": 1, "text": "b"},
    ]


def test_plain_text_by_line_and_by_paragraph(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\ntwo\n\n \n three\nfour \n".encode())
    by_line = rows(tmp_path / "a.txt", ("text",))
    by_paragraph = rows(tmp_path / "a.txt", ("text",), sample_by="paragraph")
    assert [row["text"] for row in by_line] == ["one", "two", "three", "four"]
    assert [row["text"] for row in by_paragraph] == ["one\ntwo", "three\nfour"]


def test_compressed_files_read_as_their_content(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    assert rows(tmp_path / "b.csv.gz") == rows(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_bytes_that_are_not_utf8(tmp_path: Path, name: str) -> None:
    body = b'{"text": "caf\xe9", "label": 1}\n' if name == "a.jsonl" else b"text\tlabel\ncaf\xe9\t1\n"
    (tmp_path / name).write_bytes(body.replace(b"\t", b",") if name == "a.csv" else body)
    with pytest.raises(StageError, match=f"{name} is not UTF-8: convert it"):
        rows(tmp_path / name, ("text",))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.txt"])
def test_a_missing_column_lists_those_there_are(tmp_path: Path, name: str) -> None:
    if name == "a.parquet":
        pq.write_table(pa.table({"text": ["a"]}), tmp_path / name)
    else:
        (tmp_path / name).write_text('{"text": "a"}\n' if name == "a.jsonl" else "text\na\n")
    with pytest.raises(StageError, match=f"{name}: column label is missing; it has text"):
        rows(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_a_column_that_is_there_twice_is_named(tmp_path: Path, name: str) -> None:
    """Whichever of both were taken, it might be the other that is meant."""
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"]), path)
    else:
        path.write_text("text,text\na,b\n".replace(",", "\t" if name.endswith(".tsv") else ","))
    with pytest.raises(StageError, match=rf"{name}: column text is there more than once"):
        list(read(path, Request(["text"])))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert sum(batch.num_rows for batch in read(tmp_path / name, Request(("text",)))) == 0


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("a.doc", "x", "no format that can be read; use one of .csv"),
        ("a", "x", "no format"),
        ("a.jsonl", "[1]\n", "a.jsonl: a line is not a JSON object"),
        ("a.jsonl", "{\n", "a.jsonl: a line is not JSON"),
        ("a.csv", "text,label\na,b,c\n", "a.csv cannot be read: .*Expected 2 columns, got 3"),
        ("a.parquet", "x", "a.parquet cannot be read"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, body: str, message: str) -> None:
    (tmp_path / name).write_text(body)
    with pytest.raises(StageError, match=message):
        rows(tmp_path / name)


def test_how_batches_are_cut_does_not_change_a_written_file(tmp_path: Path) -> None:
    table = pa.table({"text": [f"text {index}" for index in range(10_000)]})
    written = []
    for size in (1, 777, 5000, 10_000):
        with TableWriter(tmp_path / "a.parquet", table.schema) as writer:
            for batch in table.slice(0, 5000 if size == 1 else 10_000).to_batches(max_chunksize=max(size, 50)):
                writer.write(batch)
            for batch in table.slice(5000).to_batches(max_chunksize=3) if size == 1 else ():
                writer.write(batch)
        written.append((tmp_path / "a.parquet").read_bytes())
        assert writer.rows == 10_000
    assert len(set(written)) == 1
