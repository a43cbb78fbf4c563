"""Entities in marks: the text of a task whose labels say how they are related."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths
from stages.corpus.download import download
from stages.corpus.marks import marked
from stages.corpus.split import split
from stages.errors import StageError

COLUMNS = [("head_start", "head_end"), ("tail_start", "tail_end")]
NAMES = [name for pair in COLUMNS for name in pair]
Settings = Callable[..., params.Params]


def batch(text: Any, *ends: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"text": text, **dict(zip(NAMES, ends, strict=True))}])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0, 1, 3, 3), "<e1> Anna Novak </e1> left <e2> Tver </e2> early"),
        ((3, 3, 0, 1), "<e2> Anna Novak </e2> left <e1> Tver </e1> early"),
        ((0, 1, 1, 1), "<e1> Anna <e2> Novak </e2> </e1> left Tver early"),
        ((4, 4, 3, 4), "Anna Novak left <e2> Tver <e1> early </e1> </e2>"),
        ((0, 0, 1, 1), "<e1> Anna </e1> <e2> Novak </e2> left Tver early"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_marks_stand_around_entities(ends: tuple[int, ...], expected: str, listed: bool) -> None:
    """Whichever comes first; one within another is marked within it."""
    text = "Anna Novak left Tver early"
    assert marked(batch(text.split() if listed else text, *ends), "text", COLUMNS) == [expected]


@pytest.mark.parametrize("ends", [(0, 5, 1, 1), (2, 1, 0, 0), (-1, 0, 1, 1)])
def test_an_entity_outside_of_its_text_is_named(ends: tuple[int, ...]) -> None:
    with pytest.raises(StageError, match=rf"from word {ends[0]} to word {ends[1]} in a text of 5 words"):
        marked(batch("Anna Novak left Tver early", *ends), "text", COLUMNS)


def rows() -> list[dict[str, Any]]:
    """Each sentence twice, with its entities in both orders, which have different relations."""
    made = []
    for number in range(60):
        words = ["Anna", f"left{number}", "Tver", "early"]
        for label, ends in (("leaves", (0, 0, 2, 2)), ("left_by", (2, 2, 0, 0))):
            made.append({"words": words, "relation": label, **dict(zip(NAMES, ends, strict=True))})
    return made


def source(path: Path, **changes: Any) -> dict[str, Any]:
    relations = {"label": "relation", "labels": ["leaves", "left_by"], "tasks": {"relations": {}}}
    return {"path": str(path), "text": ["words"], "marks": [list(pair) for pair in COLUMNS], **relations, **changes}


def test_a_sentence_is_an_example_for_each_pair_of_entities(project: Path, settings: Settings) -> None:
    """The corpus has it without marks."""
    pq.write_table(pa.Table.from_pylist(rows()), project / "relations.parquet")
    made = settings({"relations": source(project / "relations.parquet")})
    download("relations", made.sources["relations"], paths.raw("relations"))
    split(made)
    tables = [pq.read_table(paths.task("relations") / f"{part}.parquet") for part in ("train", "validation", "test")]
    found = {
        (text, label)
        for table in tables
        for text, label in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True)
    }
    assert len(found) == sum(table.num_rows for table in tables) > 60
    for text, label in found:
        assert text.split()[0] == ("<e2>" if label else "<e1>")
    assert artifacts.read_json(paths.task("relations") / "task.json")["family"] == "classification"
    corpus = pq.read_table(paths.CORPUS / "train.parquet")["text"].to_pylist()
    assert corpus
    assert not any("<e" in text for text in corpus)


@pytest.mark.parametrize("changes", [{"text": ["words", "relation"]}, {"tags": True, "labels": ["O", "left_by"]}])
def test_a_source_that_cannot_be_marked_is_refused(changes: dict[str, Any], project: Path, settings: Settings) -> None:
    with pytest.raises(StageError, match=r"marks: they are for|tags: they need"):
        settings({"relations": source(project / "relations.parquet", **changes)})
