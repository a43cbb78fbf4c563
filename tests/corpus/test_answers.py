"""Questions whose answers stand in a text: SQuAD's own file and the hub's tables of it, one task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths
from stages.corpus import answers
from stages.corpus.download import download
from stages.corpus.split import split
from stages.errors import StageError

Settings = Callable[..., params.Params]
Question = dict[str, Any]


def questions() -> list[Question]:
    """Two to a paragraph, the second without an answer; markup before an answer moves it."""
    made = []
    for number in range(60):
        context = f"<br /><br />Anna   {number} went to Tver, and Boris {number} stayed in Tver."
        start = context.rindex("Tver")
        found = {"text": ["Tver", "in Tver"], "answer_start": [start, start - 3]}
        asked = {"context": context, "title": "t"}
        made.append({**asked, "id": f"{number}a", "question": f"Where did Boris {number} stay?", "answers": found})
        nothing: dict[str, list[Any]] = {"text": [], "answer_start": []}
        made.append({**asked, "id": f"{number}b", "question": f"Where did Clara {number} stay?", "answers": nothing})
    return made


def as_squad(path: Path, rows: list[Question]) -> None:
    """Paragraphs with their questions, answers one by one."""
    paragraphs: dict[str, list[Question]] = {}
    for row in rows:
        pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
        given = [{"text": text, "answer_start": start} for text, start in pairs]
        asked = {"id": row["id"], "question": row["question"], "answers": given, "is_impossible": not given}
        paragraphs.setdefault(row["context"], []).append(asked)
    articles = [{"title": "t", "paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs.items()]}]
    path.write_text(json.dumps({"version": "v2.0", "data": articles}))


def as_parquet(path: Path, rows: list[Question]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def as_json_lines(path: Path, rows: list[Question]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


WRITERS = {"json": as_squad, "parquet": as_parquet, "jsonl": as_json_lines}


def source(path: Path, **changes: Any) -> dict[str, Any]:
    columns = {"text": ["question", "context"], "label": "answers", "answers": "sometimes", "tasks": {"asked": {}}}
    return {"path": str(path), **columns, **changes}


@pytest.mark.parametrize("kind", WRITERS)
def test_answers_are_found_in_the_text_as_models_see_it(kind: str, project: Path, settings: Settings) -> None:
    """Each where it stood, the second Tver and not the first; none stays none."""
    WRITERS[kind](project / f"asked.{kind}", questions())
    made = settings({"asked": source(project / f"asked.{kind}")}, near_duplicate=0.99)
    download("asked", made.sources["asked"], paths.raw("asked"))
    split(made)
    tables = [pq.read_table(paths.task("asked") / f"{part}.parquet") for part in ("train", "validation", "test")]
    rows = [row for table in tables for row in table.to_pylist()]
    assert len(rows) > 60
    for row in rows:
        found = json.loads(row["label"])
        assert bool(found) is ("Boris" in row["text"])
        if found:
            assert [answer for answer, _ in found] == ["Tver", "in Tver"]
            assert all(row["text_pair"][start:].startswith(answer) for answer, start in found)
            assert found[0][1] == row["text_pair"].rindex("Tver")
    described = artifacts.read_json(paths.task("asked") / "task.json")
    assert (described["family"], described["labels"], described["silent"]) == (
        "question_answering",
        ["start", "end"],
        True,
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Tver", [["Tver", 0]]),
        ("", []),
        (None, []),
        ('{"text": ["Tver"], "answer_start": [9]}', [["Tver", 8]]),
        ('{"text": ["Tver", "Tver"], "answer_start": [8, 8]}', [["Tver", 8]]),
    ],
)
def test_ways_to_write_an_answer(label: str | None, expected: list[Any]) -> None:
    """Without a place it is the first one; the same answer at the same place counts once."""
    text = "Tver is Tver"
    found = answers.located(pa.array([label], pa.string()), [text], [text])
    assert json.loads(found[0]) == expected


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Rome", "the answer 'Rome' does not stand in its text: 'Tver'"),
        ("{broken", "an answer is not JSON"),
        ('{"answers": []}', "is no answer: give a text"),
        ('{"text": ["Tver"], "answer_start": []}', "is no answer: give a text"),
        ('{"text": "Tver", "answer_start": 0}', "is no answer: give a text"),
        ('{"text": ["Tver"], "answer_start": ["0"]}', "is no answer: give a text"),
    ],
)
def test_answers_that_cannot_be_are_named(label: str, said: str) -> None:
    with pytest.raises(StageError, match=said):
        answers.located(pa.array([label]), ["Tver"], ["Tver"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "not in SQuAD's format"),
        ("{", "asked.json is not JSON"),
        ('{"data": 3}', "not in SQuAD's format"),
        ('{"data": [{}]}', r"not in SQuAD's format.*\(there is no 'paragraphs'\)"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": ["b"]}]}]}', "not in SQuAD's format"),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": "b", "answers": [{"text": "a"}]}]}]}]}',
            r"not in SQuAD's format.*\(there is no 'answer_start'\)",
        ),
    ],
)
def test_another_json_is_refused(content: str, said: str, project: Path, settings: Settings) -> None:
    (project / "asked.json").write_text(content)
    made = settings({"asked": source(project / "asked.json")})
    with pytest.raises(StageError, match=said):
        download("asked", made.sources["asked"], paths.raw("asked"))


@pytest.mark.parametrize("changes", [{"text": ["context"]}, {"score": True}, {"labels": ["a", "b"]}])
def test_a_source_that_cannot_be_asked_is_refused(changes: dict[str, Any], project: Path, settings: Settings) -> None:
    with pytest.raises(StageError, match=r"needs one of|two `text` columns"):
        settings({"asked": source(project / "asked.jsonl", **changes)})
