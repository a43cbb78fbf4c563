"""Reading minimal pairs as the download stage leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import paths
from stages.errors import StageError
from stages.zero_shot import pairs
from stages.zero_shot.pairs import Pair

ROWS = {
    "sentence_good": ["Who left?", "They  see\u00a0it.", "Same."],
    "sentence_bad": ["Who left Ann?", "They sees it.", "Same."],
    "UID": ["island", "agreement", "agreement"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a source's tables lie."""
    monkeypatch.setattr(paths, "RAW", tmp_path)
    (tmp_path / "blimp").mkdir()
    return tmp_path / "blimp"


def write(folder: Path, split: str = "train", **changes: Any) -> None:
    pq.write_table(pa.table({**ROWS, **changes}), folder / f"{split}.parquet")


def test_all_files_are_read_and_equal_sentences_left_out(folder: Path) -> None:
    """In the files' order, in plain text, with the phenomenon where a file tells it."""
    write(folder, "b", linguistics_term=["islands", None, "verbs"])
    write(folder, "a", sentence_bad=pa.array(["Who?", "It.", "Other."], pa.large_string()), UID=[7, 7, 8])
    found = pairs.read("blimp")
    assert found.equal == 1
    assert found.pairs == [
        Pair("Who left?", "Who?", "7", None),
        Pair("They see it.", "It.", "7", None),
        Pair("Same.", "Other.", "8", None),
        Pair("Who left?", "Who left Ann?", "island", "islands"),
        Pair("They see it.", "They sees it.", "agreement", None),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"UID": None}, r"train\.parquet: column UID is missing; it has sentence_good, sentence_bad: .*params\.yaml"),
        ({"sentence_bad": ["a", " ", "b"]}, r"train\.parquet: row 2: sentence_bad is empty: correct the source"),
        ({"sentence_good": ["a", "b", None]}, r"train\.parquet: row 3: sentence_good is empty"),
        ({"UID": ["a", None, "b"]}, r"train\.parquet: row 2: UID is empty"),
        ({"sentence_bad": ROWS["sentence_good"]}, r"source blimp: the sentences of all 3 pairs are equal"),
        ({name: [] for name in ROWS}, r"train\.parquet is empty: it has no pairs"),
    ],
)
def test_what_is_missing_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    columns = {name: values for name, values in {**ROWS, **changes}.items() if values is not None}
    pq.write_table(pa.table(columns), folder / "train.parquet")
    with pytest.raises(StageError, match=message):
        pairs.read("blimp")


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(StageError, match=r"source blimp is not here: run `python -m stages\.corpus download"):
        pairs.read("blimp")
    (folder / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(StageError, match=r"train\.parquet is not readable.*dvc repro"):
        pairs.read("blimp")
