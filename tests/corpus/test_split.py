"""The split: what is held out stays out, rows stay where they are, and the counts are true."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages import artifacts, params, paths, task
from stages.corpus import cut
from stages.corpus.split import split
from stages.errors import StageError

Sentences = Callable[..., list[str]]
Settings = Callable[..., params.Params]
Raw = Callable[..., None]

REVIEWS: dict[str, Any] = {"label": "label", "labels": ["bad", "good"], "tasks": {"reviews": {}}}
CUT = {"train": "train", "test": "validation"}


def labels(texts: list[str]) -> list[int]:
    return [len(text) % 2 for text in texts]


def table(name: str) -> pd.DataFrame:
    """A set that was written: `reviews/test`, `corpus/train`."""
    folder = paths.DATA if name.startswith("corpus/") else paths.TASKS
    return pd.read_parquet(folder / f"{name}.parquet")


def texts(name: str) -> list[str]:
    return list(table(name)["text"])


def metrics() -> dict[str, Any]:
    result: dict[str, Any] = artifacts.read_json(paths.METRICS / "split.json")
    return result


def removed(name: str) -> dict[str, int]:
    return {reason: count for reason, count in metrics()["removed"][name].items() if count}


def plain(text: str) -> str:
    return "".join(re.findall(r"[a-z0-9]", text.lower()))


def jaccard(left: str, right: str) -> float:
    """By its definition, on word 5-grams."""
    a, b = (
        {tuple(words[start : start + 5]) for start in range(max(len(words) - 4, 1))}
        for words in (re.findall(r"[a-z0-9]+", text.lower()) for text in (left, right))
    )
    return len(a & b) / len(a | b)


def copies(text: str) -> list[str]:
    """The text again as other files would have it: respelled, and nearly the same."""
    words = text.split()
    return [text.upper().replace(" ", "  ") + "!", f"<br />{text}<br />", " ".join([*words, "indeed"])]


def test_a_row_stays_where_it_is_when_rows_are_added(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    old, new = sentences(400, seed=1), sentences(900, seed=2)
    places = []
    for batch in (old, [*new[:450], *reversed(old), *new[450:]]):
        raw("films", text=batch, label=labels(batch))
        split(settings({"films": REVIEWS}))
        sets = [f"reviews/{name}" for name in cut.SPLITS] + ["corpus/train", "corpus/validation"]
        places.append({name: set(texts(name)) for name in sets})
    for name in places[0]:
        assert places[0][name]
        assert places[0][name] == places[1][name] & set(old)


def test_ids_are_of_the_text_alone(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(300)
    ids = []
    for order in (batch, batch[::-1]):
        raw("films", text=order, label=labels(order))
        split(settings({"films": REVIEWS}))
        frame = pd.concat(table(f"reviews/{name}") for name in cut.SPLITS)
        ids.append(dict(zip(frame["text"], frame["id"], strict=True)))
    assert ids[0] == ids[1]
    assert len(set(ids[0].values())) == 300


def test_the_shares_are_as_asked_for(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(4000)
    raw("films", text=batch, label=labels(batch))
    split(settings({"films": REVIEWS}, validation=0.2, test=0.1, corpus_validation=0.05))
    counts = {name: statistics["rows"] for name, statistics in metrics()["sets"].items()}
    assert counts["reviews/test"] == pytest.approx(400, abs=60)
    assert counts["reviews/validation"] == pytest.approx(800, abs=80)
    assert counts["corpus/train"] + counts["corpus/validation"] == counts["reviews/train"]
    assert counts["corpus/validation"] == pytest.approx(0.05 * counts["reviews/train"], abs=40)


def test_no_held_out_text_reaches_the_corpus(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    """Every held-out text is planted in two sources of the corpus, respelled and edited."""
    batch = sentences(150, words=20)
    raw("films", text=batch, label=labels(batch))
    split(settings({"films": REVIEWS}))
    held_out = texts("reviews/validation") + texts("reviews/test")
    planted = [copy for text in held_out for copy in copies(text)]
    filling = sentences(200, seed=5, words=20)
    raw("web", text=filling + planted)
    raw("books", part_a=planted[::-1], part_b=sentences(len(planted), seed=6))
    sources = {"web": {"tasks": {}}, "films": REVIEWS, "books": {"text": ["part_a", "part_b"], "tasks": {}}}
    split(settings(sources))
    assert texts("reviews/validation") + texts("reviews/test") == held_out
    corpus = texts("corpus/train") + texts("corpus/validation")
    assert set(filling) <= set(corpus)
    assert not {plain(text) for text in corpus} & {plain(text) for text in held_out}
    assert max(jaccard(text, other) for text in corpus for other in held_out) < 0.8


def test_the_corpus_validation_is_not_in_its_train(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(300, words=20)
    raw("web", text=[copy for text in batch for copy in (text, *copies(text))])
    raw("films", text=(films := sentences(60, seed=3)), label=labels(films))
    split(settings({"web": {"tasks": {}}, "films": REVIEWS}, corpus_validation=0.3))
    train, validation = texts("corpus/train"), texts("corpus/validation")
    assert not {plain(text) for text in train} & {plain(text) for text in validation}
    assert max(jaccard(text, other) for text in train for other in validation) < 0.8
    assert removed("corpus")["near_validation"] > 0
    assert removed("corpus")["duplicate"] >= 600


def test_a_source_that_is_no_corpus_serves_its_tasks_only(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    for name, seed in (("films", 1), ("books", 2)):
        raw(name, text=(batch := sentences(100, seed=seed)), label=labels(batch))
    books = {**REVIEWS, "tasks": {"books": {}}, "corpus": False}
    split(settings({"films": REVIEWS, "books": books}))
    assert not set(texts("corpus/train")) & set(sentences(100, seed=2))
    assert set(texts("books/train")) <= set(sentences(100, seed=2))


def test_own_splits_are_kept_and_what_is_missing_is_cut(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    train, test = sentences(400, seed=1), sentences(80, seed=2)
    planted = [copy for text in test[:10] for copy in copies(text)]
    raw("films", text=train + planted, label=labels(train + planted))
    raw("films", "validation", text=test, label=labels(test))
    split(settings({"films": {**REVIEWS, "tasks": {"reviews": {"splits": CUT}}}}, validation=0.25, test=0.1))
    assert texts("reviews/test") == test
    assert sorted(texts("reviews/train") + texts("reviews/validation")) == sorted(train)
    assert 60 < len(texts("reviews/validation")) < 140
    lost = [sum(removed(f"reviews/{name}").values()) for name in ("train", "validation")]
    assert sum(lost) == len(planted)


def test_test_rows_stand_and_validation_and_train_give_way(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    base = sentences(40, words=20)
    raw("films", text=sentences(50, seed=9) + [f"{text} indeed" for text in base], label=[0] * 90)
    raw("films", "dev", text=base[:30] + sentences(5, seed=8), label=[1] * 35)
    raw("films", "test", text=[f"Truly {text}" for text in base[:20]], label=[1] * 20)
    own = {"train": "train", "validation": "dev", "test": "test"}
    split(settings({"films": {**REVIEWS, "tasks": {"reviews": {"splits": own}}}}))
    assert len(texts("reviews/test")) == 20
    assert texts("reviews/validation") == base[20:30] + sentences(5, seed=8)
    assert texts("reviews/train")[50:] == [f"{text} indeed" for text in base[30:]]
    assert removed("reviews/validation") == {"near_duplicate": 20}
    assert removed("reviews/train") == {"near_duplicate": 30}


def test_training_rows_that_another_task_holds_out_are_dropped(
    raw: Raw, settings: Settings, sentences: Sentences
) -> None:
    raw("films", text=(films := sentences(300, words=20)), label=labels(films))
    raw("books", text=(books := sentences(50, seed=4, words=20)), label=labels(books))
    for name, seed in (("validation", 5), ("test", 6)):
        raw("books", name, text=(batch := sentences(50, seed=seed, words=20)), label=labels(batch))
    own = {name: name for name in cut.SPLITS}
    sources = {"films": REVIEWS, "books": {**REVIEWS, "tasks": {"books": {"splits": own}}}}
    split(settings(sources))
    held_out = texts("reviews/validation") + texts("reviews/test")
    planted = [copy for text in held_out for copy in copies(text)[1:]]
    raw("books", text=books + planted, label=labels(books + planted))
    split(settings(sources))
    assert texts("reviews/validation") + texts("reviews/test") == held_out
    assert texts("books/train") == books
    assert removed("books/train") == {"held_out_elsewhere": len(planted)}
    crossing = [name for name in metrics()["overlaps_found"] if "books/train" in name and "reviews/" in name]
    assert sum(metrics()["overlaps_found"][name] for name in crossing) > 0
    held = [name for name in crossing if "reviews/train" not in name]
    assert sum(metrics()["overlaps"][name] for name in held) == 0


def test_pairs_may_share_a_text_but_not_be_the_same(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    premises, hypotheses = sentences(40, seed=1), sentences(40, seed=2)
    raw("nli", a=premises + premises[:5], b=hypotheses[::-1] + hypotheses[:5], label=[0] * 45)
    raw("nli", "validation", a=premises[:20], b=hypotheses[:20], label=[1] * 20)
    raw("web", text=sentences(100, seed=3) + hypotheses[:20] + premises)
    pairs = {**REVIEWS, "text": ["a", "b"], "tasks": {"nli": {"splits": CUT}}, "corpus": False}
    split(settings({"web": {"tasks": {}}, "nli": pairs}))
    train, validation, test = (table(f"nli/{name}") for name in cut.SPLITS)
    assert list(test.columns) == ["text", "text_pair", "label", "id"]
    assert list(test["text"]) == premises[:20]
    assert list(test["text_pair"]) == hypotheses[:20]
    assert len(train) + len(validation) == 40
    assert metrics()["overlaps"]["nli/test & nli/train"] > 0
    corpus = set(texts("corpus/train") + texts("corpus/validation"))
    held_out = {*test["text"], *test["text_pair"], *validation["text"], *validation["text_pair"]}
    assert not corpus & held_out
    assert corpus & set(premises)


def test_duplicates_and_contradictions(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(200)
    same, respelled, contradicted = batch[:20], [text.upper() for text in batch[20:40]], batch[40:60]
    everything = batch + same + respelled + contradicted
    label = [0] * 200 + [0] * 20 + [0] * 20 + [1] * 20
    raw("films", text=everything, label=label)
    split(settings({"films": REVIEWS}))
    kept = [text for name in cut.SPLITS for text in texts(f"reviews/{name}")]
    assert sorted(kept) == sorted(batch[:40] + batch[60:])
    counts = [removed(f"reviews/{name}") for name in cut.SPLITS]
    assert sum(count.get("duplicate", 0) for count in counts) == 40
    assert sum(count.get("contradictory", 0) for count in counts) == 40


def test_labels_by_name_by_index_and_scores(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(200)
    prompt = {"template": "{text} It was {word}.", "words": {"good": "great", "bad": "not so good"}}
    reviews = {**REVIEWS, "tasks": {"reviews": {"metric": "matthews", "prompt": prompt}}}
    raw("names", text=batch, label=["good" if label else "bad" for label in labels(batch)])
    raw("scores", text=(other := sentences(200, seed=2)), label=[len(text) / 8 for text in other])
    scores = {"label": "label", "score": True, "tasks": {"scores": {}}}
    split(settings({"names": reviews, "scores": scores}))
    for name in cut.SPLITS:
        classes, numbers = table(f"reviews/{name}"), table(f"scores/{name}")
        assert classes["label"].dtype == np.int64
        assert numbers["label"].dtype == np.float32
        assert list(classes["label"]) == labels(list(classes["text"]))
        assert list(numbers["label"]) == [len(text) / 8 for text in numbers["text"]]
        counted = metrics()["sets"][f"reviews/{name}"]["labels"]
        assert counted == {"bad": sum(classes["label"] == 0), "good": sum(classes["label"] == 1)}
    words, template = ("not so good", "great"), "{text} It was {word}."
    assert task.read("reviews") == task.Task(
        family="classification", labels=("bad", "good"), metric="matthews", template=template, words=words
    )
    assert task.read("scores") == task.Task(
        family="regression", labels=(), metric="pearson", template="{text} : {word}.", words=()
    )


def test_where_keeps_a_tasks_own_rows(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(300)
    kind = ["film" if index % 3 else "book" for index in range(300)]
    raw("mixed", text=batch, label=labels(batch), kind=kind, year=[1900 + index % 2 for index in range(300)])
    tasks = {"films": {"where": {"kind": "film", "year": 1901}}, "books": {"where": {"kind": "book"}}}
    split(settings({"mixed": {**REVIEWS, "tasks": tasks}}))
    films = {text for name in cut.SPLITS for text in texts(f"films/{name}")}
    expected = {text for index, text in enumerate(batch) if kind[index] == "film" and index % 2}
    assert films == expected


def test_statistics_and_overlaps_are_those_of_the_files(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    shared = sentences(60, seed=9)
    for name, seed in (("films", 1), ("books", 2)):
        raw(name, text=(batch := sentences(100, seed=seed) + shared), label=labels(batch))
    split(settings({"films": REVIEWS, "books": {**REVIEWS, "tasks": {"books": {}}}}))
    sets = {name: texts(name) for name in metrics()["sets"]}
    assert len(sets) == 8
    for name, batch in sets.items():
        statistics = metrics()["sets"][name]
        assert statistics["rows"] == len(batch)
        assert statistics["words"] == sum(len(text.split()) for text in batch)
        assert statistics["bytes"] == sum(len(text.encode()) for text in batch)
    expected = {
        f"{first} & {second}": len({plain(text) for text in sets[first]} & {plain(text) for text in sets[second]})
        for first, second in combinations(sorted(sets), 2)
    }
    assert metrics()["overlaps"] == expected
    assert expected["books/train & reviews/train"] > 0


def test_the_same_input_gives_the_same_bytes(raw: Raw, settings: Settings, sentences: Sentences, project: Path) -> None:
    batch = sentences(300)
    raw("films", text=batch, label=labels(batch))
    hashes = []
    for _ in range(2):
        split(settings({"films": REVIEWS}))
        hashes.append([artifacts.md5(folder) for folder in (paths.TASKS, paths.CORPUS, paths.METRICS)])
    assert hashes[0] == hashes[1]
    assert str(project) not in (paths.METRICS / "split.json").read_text()


@pytest.mark.parametrize(
    ("entry", "values", "message"),
    [
        ({}, [2], "source films, split train: label '2' is not among bad, good"),
        ({}, [None], "label None is not among"),
        ({"labels": [], "score": True}, ["high"], "'high' is not a number"),
        ({"labels": [], "score": True}, [float("nan")], "not a number"),
        ({"tasks": {"reviews": {"splits": {"test": "dev"}}}}, [1], "no split dev; it has train"),
        ({"tasks": {"reviews": {"where": {"label": 0}}}}, [1], "no row is left for train"),
    ],
)
def test_errors_name_the_source_or_task(
    raw: Raw, settings: Settings, sentences: Sentences, entry: dict[str, Any], values: list[Any], message: str
) -> None:
    raw("films", text=sentences(100), label=values * 100)
    with pytest.raises(StageError, match=message):
        split(settings({"films": {**REVIEWS, **entry}}))
    assert not paths.TASKS.exists()
    assert not paths.CORPUS.exists()


@pytest.mark.parametrize("entry", [{"label": "stars"}, {"text": ["review"]}, {"where": {"kind": "long"}}])
@pytest.mark.parametrize("corpus", [True, False])
def test_a_column_that_was_not_fetched(
    raw: Raw, settings: Settings, sentences: Sentences, entry: dict[str, Any], corpus: bool
) -> None:
    """Where the source's entry was changed since."""
    raw("films", text=(batch := sentences(100)), label=labels(batch))
    raw("web", text=sentences(100, seed=2))
    (column,) = [*entry.get("where", {}), *entry.get("text", []), *([entry["label"]] if "label" in entry else [])]
    message = rf"source films, split train, has no column {column}; it has text, label: run .*download --source films"
    with pytest.raises(StageError, match=message):
        split(settings({"web": {"tasks": {}}, "films": {**REVIEWS, **entry, "corpus": corpus}}))


@pytest.mark.timeout(60)
def test_a_text_of_a_hundred_thousand_words(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    """Is one as any other: it stays whole, and its copies are found."""
    (endless,) = sentences(1, seed=3, words=100_000)
    batch = [*sentences(200), endless, f"{endless} indeed", endless.upper()]
    raw("films", text=batch, label=[len(text) % 2 for text in batch[:-1]] + [len(endless) % 2])
    split(settings({"films": REVIEWS}))
    kept = [text for name in cut.SPLITS for text in texts(f"reviews/{name}") if len(text) > 10_000]
    assert endless in kept
    assert endless.upper() not in kept


def test_a_source_that_was_not_fetched(settings: Settings, project: Path) -> None:
    with pytest.raises(StageError, match=r"source films is not here: run .*download --source films"):
        split(settings({"films": REVIEWS}))


def test_no_text_for_the_corpus(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    raw("films", text=(batch := sentences(100)), label=labels(batch))
    with pytest.raises(StageError, match="the corpus is too small"):
        split(settings({"films": {**REVIEWS, "corpus": False}}))


def test_rows_without_text_are_dropped(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    batch = sentences(100)
    raw("films", text=[*batch, "", " <br /> ", None], label=[*labels(batch), 0, 1, 0])
    split(settings({"films": REVIEWS}))
    assert removed("corpus")["empty"] == 3
    assert sum(removed(f"reviews/{name}").get("empty", 0) for name in cut.SPLITS) == 3


def test_changing_one_share_moves_nothing_between_the_others() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 5000, dtype=np.uint64)
    before, after = cut.by_key(keys, 0.1, 0.1), cut.by_key(keys, 0.1, 0.3)
    assert np.array_equal(before == cut.VALIDATION, after == cut.VALIDATION)
    assert not (before == cut.TEST)[after != cut.TEST].any()
    in_corpus = cut.corpus_validation(keys, 0.5)
    for code in (cut.TRAIN, cut.VALIDATION, cut.TEST):
        assert in_corpus[before == code].mean() == pytest.approx(0.5, abs=0.06)


def test_a_further_corpus_is_apart(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    """Its source's text is not in the corpus, and neither what tasks hold out nor the corpus's validation is in it."""
    films, songs = sentences(400, seed=1), sentences(300, seed=2)
    raw("films", text=films, label=labels(films), kind=["long"] * 400)
    raw("songs", text=[*songs, *(copy for text in films for copy in copies(text))])
    sources = {"films": {**REVIEWS, "where": {"kind": "long"}}, "songs": {"corpus": "songs", "tasks": {}}}
    split(settings(sources))
    further = [pd.read_parquet(paths.CORPORA / "songs" / f"{part}.parquet")["text"] for part in ("train", "validation")]
    written = {plain(text) for part in further for text in part}
    assert written & {plain(text) for text in songs}
    assert not {plain(text) for name in ("corpus/train", "corpus/validation") for text in texts(name)} & {
        plain(text) for text in songs
    }
    held_out = [*texts("reviews/test"), *texts("reviews/validation"), *texts("corpus/validation")]
    assert not written & {plain(text) for text in held_out}
    assert not any(jaccard(text, other) >= 0.8 for part in further for text in part for other in held_out[:50])
    assert metrics()["overlaps"]["corpora/songs/train & corpora/songs/validation"] == 0


def test_rows_that_a_source_leaves_out_are_nowhere(raw: Raw, settings: Settings, sentences: Sentences) -> None:
    films = sentences(400, seed=1)
    raw("films", text=films, label=labels(films), kind=["long", "short"] * 200)
    split(settings({"films": {**REVIEWS, "where": {"kind": "long"}}}))
    kept = {name: set(texts(name)) for name in ("corpus/train", "corpus/validation", "reviews/train", "reviews/test")}
    assert set.union(*kept.values()) <= set(films[::2])
    assert kept["corpus/train"]
    assert kept["reviews/test"]
