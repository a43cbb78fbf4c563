"""Sources with a label for each word: four ways to write them, one task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths
from stages.corpus.download import download
from stages.corpus.split import split
from stages.errors import StageError

TAGS = ["O", "B-PER", "I-PER"]
ROWS = [(["Anna", "Novak", f"went{number}", "."], ["B-PER", "I-PER", "O", "O"]) for number in range(60)]
ROWS += [([f"Rain{number}", "fell"], ["O", "O"]) for number in range(40)]
Settings = Callable[..., params.Params]


def as_conll(path: Path, rows: list[tuple[list[str], list[str]]]) -> None:
    """With the columns between, and the line that parts documents, of CoNLL-2003."""
    lines = ["-DOCSTART- -X- -X- O\n"]
    lines += ["".join(f"{word} NN X {tag}\n" for word, tag in zip(words, tags, strict=True)) for words, tags in rows]
    path.write_text("\n".join(lines))


def as_json(path: Path, rows: list[tuple[list[str], list[str]]]) -> None:
    path.write_text("".join(json.dumps({"words": words, "tags": tags}) + "\n" for words, tags in rows))


def as_csv(path: Path, rows: list[tuple[list[str], list[str]]]) -> None:
    """Words and tags with blanks between."""
    path.write_text("words,tags\n" + "".join(f"{' '.join(words)},{' '.join(tags)}\n" for words, tags in rows))


def as_parquet(path: Path, rows: list[tuple[list[str], list[str]]]) -> None:
    """Lists, and tags by their numbers, as datasets of the hub have them."""
    numbers = [[TAGS.index(tag) for tag in tags] for _, tags in rows]
    pq.write_table(pa.table({"words": [words for words, _ in rows], "tags": numbers}), path)


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    "conll": as_conll,
    "jsonl": as_json,
    "csv": as_csv,
    "parquet": as_parquet,
}


def source(path: Path, **changes: Any) -> dict[str, Any]:
    described = {"text": ["words"], "label": "tags", "labels": TAGS, "tags": True, "tasks": {"names": {}}}
    return {"path": str(path), **described, **changes}


@pytest.mark.parametrize("kind", WRITERS)
def test_words_and_tags_become_a_task(kind: str, project: Path, settings: Settings) -> None:
    """Every row once, its words and the names of their tags with a blank between; splits lose and mix nothing."""
    WRITERS[kind](project / f"names.{kind}", ROWS)
    made = settings({"names": source(project / f"names.{kind}")})
    download("names", made.sources["names"], paths.raw("names"))
    split(made)
    tables = {name: pq.read_table(paths.task("names") / f"{name}.parquet") for name in ("train", "validation", "test")}
    assert all(table.num_rows for table in tables.values())
    found = {
        (text, tags)
        for table in tables.values()
        for text, tags in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True)
    }
    assert found == {(" ".join(words), " ".join(tags)) for words, tags in ROWS}
    described = artifacts.read_json(paths.task("names") / "task.json")
    assert (described["family"], described["metric"], described["words"]) == ("token_classification", "f1", [])
    counted = artifacts.read_json(paths.METRICS / "split.json")["sets"]["names/train"]["labels"]
    tags = " ".join(tables["train"]["label"].to_pylist()).split()
    assert counted == {tag: tags.count(tag) for tag in TAGS}


def test_one_text_with_two_taggings_is_dropped(project: Path, settings: Settings) -> None:
    """As with any other label."""
    rows = [*ROWS, (["So", "what"], ["O", "O"]), (["So", "what"], ["O", "B-PER"])]
    as_json(project / "names.jsonl", rows)
    made = settings({"names": source(project / "names.jsonl")})
    download("names", made.sources["names"], paths.raw("names"))
    split(made)
    removed = artifacts.read_json(paths.METRICS / "split.json")["removed"]
    assert sum(counts["contradictory"] for counts in removed.values() if "contradictory" in counts) == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((["too", "few"], ["O"]), r"source names.* 1 tags for the 2 words of 'too few'"),
        ((["un", "known"], ["O", "B-LOC"]), r"label 'B-LOC' is not among O, B-PER, I-PER"),
    ],
)
def test_tags_that_do_not_fit_are_named(
    row: tuple[list[str], list[str]], said: str, project: Path, settings: Settings
) -> None:
    as_json(project / "names.jsonl", [*ROWS, row])
    made = settings({"names": source(project / "names.jsonl")})
    download("names", made.sources["names"], paths.raw("names"))
    with pytest.raises(StageError, match=said):
        split(made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["B-PER", "I-PER"]}, "`labels` with O among them"),
        ({"text": ["words", "tags"]}, "one `text` column"),
        ({"tasks": {"names": {"metric": "matthews"}}}, "metric: 'matthews' is unknown; there are: f1"),
    ],
)
def test_a_source_that_cannot_be_tagged_is_refused(
    changes: dict[str, Any], said: str, project: Path, settings: Settings
) -> None:
    with pytest.raises(StageError, match=said):
        settings({"names": source(project / "names.jsonl", **changes)})
