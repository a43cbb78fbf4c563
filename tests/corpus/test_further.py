"""Further sets: every row in its place, and nothing of them in any training text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from stages import artifacts, params, paths, task
from stages.corpus import cut
from stages.corpus.split import split
from stages.errors import StageError

Sentences = Callable[..., list[str]]
Settings = Callable[..., params.Params]
Raw = Callable[..., None]

CUT = {"train": "train", "test": "dev"}
REVIEWS: dict[str, Any] = {"label": "label", "labels": ["bad", "good"], "tasks": {"reviews": {"splits": CUT}}}


def labels(texts: list[str]) -> list[int]:
    return [len(text) % 2 for text in texts]


def having(further: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The source of reviews, with these further sets."""
    return {**REVIEWS, "tasks": {"reviews": {"splits": CUT, "further": further}}, **changes}


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(paths.TASKS / f"{name}.parquet")


def metrics() -> dict[str, Any]:
    result: dict[str, Any] = artifacts.read_json(paths.METRICS / "split.json")
    return result


@pytest.fixture
def films(raw: Raw, sentences: Sentences) -> list[str]:
    """A source of train and dev; the training texts."""
    texts = sentences(300, seed=1)
    raw("films", text=texts, label=labels(texts))
    raw("films", "dev", text=(dev := sentences(40, seed=2)), label=labels(dev))
    return texts


def test_every_row_stays_in_its_place(raw: Raw, settings: Settings, sentences: Sentences, films: list[str]) -> None:
    """Said twice, empty, contradictory or near to another: but cleaned as all text is."""
    fresh = sentences(20, seed=3)
    asked = [*fresh[::-1], fresh[0], fresh[0].upper(), "", f"<br />{fresh[1]}  indeed", fresh[2]]
    raw("films", "more", text=asked, label=[index % 2 for index in range(len(asked))])
    raw("films", "secret", text=asked, label=[-1] * len(asked))
    split(settings({"films": having({"more": {"split": "more"}, "BOARD-x": {"split": "secret", "answers": "name"}})}))
    cleaned = [text.removeprefix("<br />").replace("  ", " ") for text in asked]
    more, board = table("reviews/further/more"), table("reviews/further/BOARD-x")
    assert list(more.columns) == ["text", "label", "id"]
    assert list(board.columns) == ["text", "id"]
    for frame in (more, board):
        assert list(frame["text"]) == cleaned
        assert [int(value, 16) for value in frame["id"]] == list(range(len(asked)))
    assert list(more["label"]) == [index % 2 for index in range(len(asked))]
    sets = metrics()["sets"]
    assert sets["reviews/more"]["labels"] == {"bad": 13, "good": 12}
    assert sets["reviews/BOARD-x"]["rows"] == 25
    assert "labels" not in sets["reviews/BOARD-x"]
    described = task.read("reviews").further
    assert (described["more"].labelled, described["BOARD-x"].labelled) == (True, False)
    assert described["BOARD-x"].answers == "name"


def test_nothing_of_it_is_trained_on(raw: Raw, settings: Settings, sentences: Sentences, films: list[str]) -> None:
    """Not even where its source is of the corpus, another one says the same, or another task trains on it."""
    for name, seed in (("more", 3), ("secret", 4)):
        raw("films", name, text=sentences(30, seed=seed, words=20), label=[-1] * 30)
    asked = sentences(30, seed=3, words=20) + sentences(30, seed=4, words=20)
    planted = [*asked, *(f"{text.upper()} indeed" for text in asked)]
    raw("films", text=[*films, *planted], label=labels([*films, *planted]))
    other = sentences(300, seed=5)
    raw("books", text=[*other, *planted], label=labels([*other, *planted]))
    raw("web", text=[*sentences(100, seed=6), *planted])
    books = {**REVIEWS, "tasks": {"books": {}}}
    further = {"more": {"split": "more"}, "secret": {"split": "secret"}}
    split(settings({"web": {"tasks": {}}, "films": having(further), "books": books}))
    kept = [set(table(f"reviews/{name}")["text"]) for name in ("train", "validation")]
    kept += [set(table("books/train")["text"])]
    kept += [set(pd.read_parquet(paths.CORPUS / f"{name}.parquet")["text"]) for name in ("train", "validation")]
    assert all(texts and not texts & set(planted) for texts in kept)
    assert set(films) <= kept[0] | kept[1]
    shared = {pair: count for pair, count in metrics()["overlaps"].items() if "reviews/more" in pair}
    assert "corpus/train & reviews/more" in shared
    assert "reviews/more & reviews/train" not in shared
    assert sum(count for pair, count in shared.items() if "test" not in pair and "books/validation" not in pair) == 0


def test_another_source_may_hold_it(raw: Raw, settings: Settings, sentences: Sentences, films: list[str]) -> None:
    """Its own `where` says which rows, not that of the task."""
    raw("films", text=films, label=labels(films), kind=["film"] * 300)
    raw("films", "dev", text=(dev := sentences(40, seed=2)), label=labels(dev), kind=["film"] * 40)
    asked = sentences(20, seed=3)
    raw("probes", "test", text=asked, label=["good", "bad"] * 10, kind=["keep", "drop"] * 10)
    probes = {**REVIEWS, "where": {"kind": "keep"}, "corpus": False, "tasks": {}}
    reviews = having({"probe": {"source": "probes", "split": "test"}})
    reviews["tasks"]["reviews"]["where"] = {"kind": "film"}
    split(settings({"films": reviews, "probes": probes}))
    assert list(table("reviews/further/probe")["text"]) == asked[::2]
    assert set(table("reviews/further/probe")["label"]) == {1}


def test_pairs_and_hidden_scores(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    """A pair of the set may share a text with the training rows, but not be one of them."""
    first, second = sentences(200, seed=1), sentences(200, seed=2)
    raw("sts", a=first, b=second, label=[index / 40 for index in range(200)])
    raw("sts", "dev", a=first[:30], b=second[30:60], label=[2.5] * 30)
    raw("sts", "test", a=first[:5] + first[7:8], b=second[:5] + second[9:10], label=[-1.0] * 6)
    board = {"split": "test", "bounds": [0, 5]}
    task_entry = {"splits": CUT, "further": {"STS-B": board}}
    scored = {"label": "label", "score": True, "text": ["a", "b"], "corpus": False, "tasks": {"sts": task_entry}}
    raw("web", text=sentences(100, seed=3))
    split(settings({"sts": scored, "web": {"tasks": {}}}))
    assert list(table("sts/further/STS-B").columns) == ["text", "text_pair", "id"]
    rows = {tuple(row) for name in cut.SPLITS for row in table(f"sts/{name}")[["text", "text_pair"]].to_numpy()}
    assert not rows & set(zip(first[:5], second[:5], strict=True))
    assert (first[7], second[7]) in rows
    assert task.read("sts").further["STS-B"].bounds == (0, 5)


def test_without_any_nothing_is_said_of_them(settings: Settings, films: list[str]) -> None:
    split(settings({"films": REVIEWS}))
    assert sorted(path.name for path in paths.task("reviews").iterdir()) == [
        "task.json", "test.parquet", "train.parquet", "validation.parquet",
    ]  # fmt: skip
    assert "further" not in artifacts.read_json(paths.task("reviews") / task.FILE)


@pytest.mark.parametrize(
    ("entry", "values", "message"),
    [
        ({"split": "more"}, [1, -1], "source films, split more: label '-1' is not among bad, good"),
        ({"split": "more"}, [7], "source films, split more: label '7' is not among"),
        ({"split": "none"}, [1], "source films has no split none; it has dev, more, train"),
        (
            {"split": "more"},
            [],
            r"sources\.films\.tasks\.reviews\.further\.extra: split more of source films has no rows",
        ),
    ],
)
def test_errors_name_the_set(
    raw: Raw, settings: Settings, films: list[str], entry: dict[str, Any], values: list[int], message: str
) -> None:
    raw("films", "more", text=["some text"] * len(values), label=values)
    with pytest.raises(StageError, match=message):
        split(settings({"films": having({"extra": entry})}))
    assert not paths.TASKS.exists()
