"""Columns of whatever type, as texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import params, paths
from stages.corpus import words
from stages.corpus.download import download
from stages.corpus.rows import corpus_texts
from stages.corpus.split import split
from stages.errors import StageError

NO_TEXT = {
    "struct": pa.array([{"bytes": "a"}] * 20),
    "binary": pa.array([b"\xff"] * 20),
    "string": pa.array([b"\xff"] * 20).view(pa.string()),
    "words": pa.array([[{"bytes": "a"}]] * 20),
    "bytes": pa.array([[b"\xff"]] * 20),
}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([["a", " b c "], None]), ["a bc", None]),
        (pa.array([["a", None, "b"], []]), ["a  b", ""]),
        (pa.array([[b"a", "é".encode()]], pa.large_list(pa.binary())), ["a é"]),
        (pa.array([[1, 0]]), ["1 0"]),
        (pa.array([1.0, 0.0, None]), ["1", "0", None]),  # classes, as pandas keeps them where one is missing
    ],
)
def test_each_row_is_one_string(column: pa.Array, expected: list[str | None]) -> None:
    assert words.joined(column) == expected


@pytest.mark.parametrize("column", NO_TEXT.values(), ids=NO_TEXT)
def test_what_is_no_text_is_named(column: pa.Array, project: Path, settings: Callable[..., params.Params]) -> None:
    """With its source, whether it is read for a task or for the corpus."""
    pq.write_table(pa.table({"text": column, "label": ["a", "b"] * 10}), project / "odd.parquet")
    entry = {"path": str(project / "odd.parquet"), "text": ["text"], "label": "label", "labels": ["a", "b"]}
    made = settings({"odd": {**entry, "tasks": {"asked": {}}}})
    download("odd", made.sources["odd"], paths.raw("odd"))
    said = r"source odd, split \w+: a column of type .* is no text .*: name another in params\.yaml"
    with pytest.raises(StageError, match=said):
        split(made)
    with pytest.raises(StageError, match=said):
        list(corpus_texts("odd", made.sources["odd"]))
