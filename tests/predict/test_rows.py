"""Reading tables: every good row as pandas reads it, and every bad one by its number."""

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
from stages.errors import StageError
from stages.predict.rows import Bad, Row, survey

GOOD = [
    {"text": 'She said "no",\nthen left.', "label": "0"},
    {"text": "", "label": "NA"},
    {"text": "naïve – “quoted”", "label": ""},
    {"text": "long " * 20_000, "label": "0042"},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("block", [readers.BLOCK, 120_000])
def test_csv_rows_are_those_of_pandas(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text, whatever they look like, also where the end of a block falls between them."""
    monkeypatch.setattr(readers, "BLOCK", block)
    path = write(tmp_path / "a.csv", GOOD * 3)
    table = survey(path)
    expected = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    assert list(table.rows()) == [Row(number, values) for number, values in enumerate(expected, start=1)]
    assert (table.count, table.schema.names) == (12, ["text", "label"])
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert list(survey(tmp_path / "b.csv.gz").rows()) == list(table.rows())


@pytest.mark.parametrize("block", [readers.BLOCK, 40])
def test_bad_csv_rows_cost_the_others_nothing(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header before them and blank lines between them are not counted."""
    monkeypatch.setattr(readers, "BLOCK", block)
    lines = [b"\xef\xbb\xbftext,label", b"a,1,2", b'"b\nb",3', b"", b"caf\xe9,4", b"c,5", b"d", b"e", b"f,6", b"g"]
    (tmp_path / "a.csv").write_bytes(b"\r\n".join(lines))
    table = survey(tmp_path / "a.csv")
    assert list(table.rows()) == [
        Bad(1, "it has 3 columns, the header 2"),
        Row(2, {"text": "b\nb", "label": "3"}),
        Bad(3, "it is not UTF-8"),
        Row(4, {"text": "c", "label": "5"}),
        Bad(5, "it has 1 columns, the header 2"),
        Bad(6, "it has 1 columns, the header 2"),
        Row(7, {"text": "f", "label": "6"}),
        Bad(8, "it has 1 columns, the header 2"),
    ]
    assert table.count == 8


def test_a_tsv_has_no_quoting(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\nan "open quote\t1\n"whole"\t0\nx\n', encoding="utf-8")
    assert list(survey(tmp_path / "a.tsv").rows()) == [
        Row(1, {"text": 'an "open quote', "label": "1"}),
        Row(2, {"text": '"whole"', "label": "0"}),
        Bad(3, "it has 1 columns, the header 2"),
    ]


def test_json_lines_keep_their_values(tmp_path: Path) -> None:
    """Columns are those of all rows together."""
    first, second = {"text": "a\nb", "more": [1, {"x": None}]}, {"text": None, "other": 0.5}
    lines = [json.dumps(first), "{", "", "[1]", '{"text": "caf\xe9"}', json.dumps(second)]
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode("latin-1"))
    table = survey(tmp_path / "a.jsonl")
    rows = list(table.rows())
    assert [rows[0], rows[4]] == [Row(1, first), Row(5, second)]
    assert rows[2:4] == [Bad(3, "it is no JSON object"), Bad(4, "it is not UTF-8")]
    assert isinstance(rows[1], Bad)
    assert rows[1].reason.startswith("it is not JSON (")
    assert (table.count, table.schema.names) == (5, ["text", "more", "other"])


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    content = pa.table({"text": ["a", None], "when": pa.array([1, 2], pa.timestamp("us")), "ids": [[1], [2, 3]]})
    pq.write_table(content, tmp_path / "a.parquet")
    table = survey(tmp_path / "a.parquet")
    assert table.schema == content.schema
    assert [row.values for row in table.rows() if isinstance(row, Row)] == content.to_pylist()


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("a.doc", b"x", r"a\.doc has no format that can be read"),
        ("a.txt", b"x", r"a\.txt is no table: write its texts into one of \.csv, \.tsv, \.jsonl"),
        ("a.csv", b"text,text\na,b\n", r"a\.csv has two columns text: rename one"),
        ("a.csv", b"t\xe9xt\na\n", r"a\.csv cannot be read: 'utf-8'"),
        ("a.parquet", b"x", r"a\.parquet cannot be read"),
        ("a.csv.gz", b"x", r"a\.csv\.gz cannot be read"),
    ],
)
def test_broken_files_are_named(name: str, body: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(StageError, match=message):
        survey(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(StageError, match=f"{name} is missing: name a table"):
            survey(tmp_path / name)


def test_which_columns_hold_the_texts(tmp_path: Path) -> None:
    """What is named, or `text`, and `text_pair` where there is one."""
    single = survey(write(tmp_path / "a.csv", GOOD))
    pairs = survey(write(tmp_path / "b.csv", [{"text_pair": "b", "text": "a"}]))
    assert single.text_columns(None) == ["text"]
    assert pairs.text_columns(None) == ["text", "text_pair"]
    assert pairs.text_columns(["text_pair"]) == ["text_pair"]
    with pytest.raises(StageError, match=r"a\.csv has no column review; it has text, label: say with --text which"):
        single.text_columns(["review"])
    other = survey(write(tmp_path / "c.csv", [{"review": "b"}]))
    with pytest.raises(StageError, match=r"c\.csv has no column text; it has review"):
        other.text_columns(None)
