"""Answers against the model itself, one text at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stages import paths
from stages.errors import StageError
from stages.model import files
from stages.predict.predictor import Answer, Predictor, Refusal
from tests.model import checkpoints
from tests.predict import made

WORDS = (*checkpoints.HIGH, *checkpoints.LOW, "film", "unheard")
HUNDRED_THOUSAND = " ".join(WORDS[index % len(WORDS)] for index in range(100_000))


def texts(count: int, seed: int = 0) -> list[str]:
    """Of 1 to 30 words, so that some are longer than the model reads."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, int(generator.integers(1, 30)))) for _ in range(count)]


@pytest.fixture(autouse=True)
def nothing_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has the model's folder and nothing else."""
    monkeypatch.setattr(paths, "TOKENIZER", tmp_path / "models" / "tokenizer")


def values(answer: Answer | Refusal) -> list[float]:
    """The numbers of an answer."""
    assert isinstance(answer, Answer)
    return [value for value in answer.values.values() if isinstance(value, float)]


@pytest.mark.parametrize("kind", made.KINDS)
@pytest.mark.parametrize("columns", [["text"], ["text", "text_pair"]], ids=["single", "pair"])
def test_probabilities_are_those_of_the_model(kind: str, columns: list[str], tmp_path: Path) -> None:
    """Of each text alone, whatever is computed beside it; the label is the likeliest.

    In int8 activations are rounded by the largest of a batch: there each text is a batch.
    """
    folder = made.tuned(tmp_path / "model", kind)
    rows = list(zip(*(texts(30, seed) for seed in range(len(columns))), strict=True))
    answers = Predictor(folder).answer(rows, columns, batch_size=1 if kind.startswith("int8") else 7)
    expected = np.array([made.outputs(folder, *row) for row in rows])
    np.testing.assert_allclose([values(answer) for answer in answers], expected, atol=2e-6)
    assert np.ptp(expected, axis=0).max() > 0.01
    for answer, probabilities in zip(answers, expected, strict=True):
        assert isinstance(answer, Answer)
        assert answer.values["label"] == made.LABELS[probabilities.argmax()]


@pytest.mark.parametrize("kind", ["encoder", "bert", "int8 bert"])
def test_scores_are_those_of_the_model(kind: str, tmp_path: Path) -> None:
    """A model without classes gives its output as it is."""
    folder = made.tuned(tmp_path / "model", kind, labels=())
    predictor = Predictor(folder)
    assert predictor.columns == ["score"]
    for text in texts(5):
        (answer,) = predictor.answer([[text]], ["text"])
        assert values(answer) == pytest.approx(made.outputs(folder, text), abs=1e-6)


@pytest.mark.parametrize("kind", ["encoder", "bert"])
def test_a_hundred_thousand_words_are_cut(kind: str, tmp_path: Path) -> None:
    """To what the model reads, as in training; and that is told of this text alone, not of one that just fits."""
    folder = made.tuned(tmp_path / "model", kind)
    fitting = " ".join(["good"] * (made.LENGTH - 2))
    answers = Predictor(folder).answer([["good"], [HUNDRED_THOUSAND], [fitting], [f"{fitting} bad"]], ["text"])
    assert [answer.is_cut for answer in answers if isinstance(answer, Answer)] == [False, True, False, True]
    assert values(answers[1]) == pytest.approx(made.outputs(folder, HUNDRED_THOUSAND), abs=2e-6)
    beginning = " ".join(HUNDRED_THOUSAND.split()[:50])
    assert values(answers[1]) == pytest.approx(made.outputs(folder, beginning), abs=2e-6)


@pytest.mark.parametrize("kind", ["encoder", "bert"])
@pytest.mark.parametrize("present", ["its own", "another", None])
def test_what_else_is_on_the_machine_changes_nothing(kind: str, present: str | None, tmp_path: Path) -> None:
    """The folder decides how long pairs are cut, not the tokenizer that the project has by now."""
    folder = made.tuned(tmp_path / "model", kind)
    if present:
        made.tokenizer(paths.TOKENIZER, word="film" if present == "its own" else "other")
    same = (
        present and paths.TOKENIZER.joinpath("tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    )
    assert bool(same) == (present == "its own" and kind == "encoder")
    rows = [(" ".join(["good"] * 30), " ".join(["bad"] * 30)), ("good film", " ".join(["bad"] * 40))]
    answers = Predictor(folder).answer(rows, ["text", "text_pair"])
    for row, answer in zip(rows, answers, strict=True):
        assert values(answer) == pytest.approx(made.outputs(folder, *row), abs=2e-6)


def test_texts_are_cleaned_as_those_of_training(tmp_path: Path) -> None:
    """Markup goes and accents are composed before the tokenizer sees them."""
    predictor = Predictor(made.tuned(tmp_path / "model", "encoder"))
    raw, clean = predictor.answer([["good<br />bad\x00  cafe\u0301"], ["good\nbad caf\u00e9"]], ["text"])
    (markup,) = predictor.answer([["good br bad café"]], ["text"])
    assert raw == clean
    assert markup != clean


def test_rows_without_a_text_are_refused(tmp_path: Path) -> None:
    """With the reason; the others are answered as if those were not there."""
    predictor = Predictor(made.tuned(tmp_path / "model", "encoder"))
    rows = [["good", "bad"], ["good", None], ["", "bad"], [" \n\u200b", "bad"], [5, "bad"], ["bad", "good"]]
    answers = predictor.answer(rows, ["first", "second"])
    assert answers[1:5] == [
        Refusal("second is missing"),
        Refusal("first is empty"),
        Refusal("first is empty"),
        Refusal("first is no text but '5'"),
    ]
    assert [answers[0], answers[5]] == predictor.answer([rows[0], rows[5]], ["first", "second"])
    assert predictor.answer([], ["text"]) == []


def test_a_text_of_no_known_token_is_refused(tmp_path: Path) -> None:
    """A mean over no token would be no number."""
    folder = made.tuned(tmp_path / "model", "bert")
    bare = Tokenizer(models.WordLevel({"[UNK]": 0, "good": 5}, unk_token="[UNK]"))
    bare.normalizer, bare.pre_tokenizer = normalizers.Replace("!", ""), pre_tokenizers.Whitespace()
    bare.save(str(folder / "tokenizer.json"))
    refused, answered = Predictor(folder).answer([["!!!"], ["good"]], ["text"])
    assert refused == Refusal("the model knows no token of it")
    assert np.isfinite(values(answered)).all()


def test_a_folder_that_is_no_tuned_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"nowhere is not there: name a folder in models/selected/<task>.*models:/imdb@champion"
    ):
        Predictor(tmp_path / "nowhere")
    with pytest.raises(StageError, match=r"base is no tuned model, for it lacks classifier\.json"):
        Predictor(made.pretrained(tmp_path / "base", "encoder"))
    folder = made.tuned(tmp_path / "model", "encoder")
    (folder / files.WEIGHTS).write_bytes(b"torn")
    with pytest.raises(StageError, match=r"model\.safetensors cannot be read"):
        Predictor(folder)
