"""BLEU and chrF of every resample are what sacrebleu says of its sentences, and ROUGE is what rouge-score does."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from stages.metrics.base import Answers
from stages.metrics.generation import ROUGE, Generation
from tests.metrics.resampling import answers, check

METRICS = Generation()
WORDS = np.array(
    ["The", "cats", "cat", "were", "sitting", "sat", "on", "a", "mat,", "naïvely", "and", "don't", "purr ."]
)


def reference(labels: Answers, predictions: Answers) -> dict[str, float]:
    """Of whole lists of sentences, by the functions that these libraries are known by."""
    scorer = RougeScorer(ROUGE, use_stemmer=True)
    sentences = [scorer.score(label, text) for label, text in zip(labels, predictions, strict=True)]
    return {
        "bleu": sacrebleu.corpus_bleu(list(predictions), [list(labels)]).score / 100,
        "chrf": sacrebleu.corpus_chrf(list(predictions), [list(labels)]).score / 100,
        **{name: float(np.mean([scores[name].fmeasure for scores in sentences])) for name in ROUGE},
    }


def text(generator: np.random.Generator, fewest: int, most: int) -> str:
    return " ".join(generator.choice(WORDS, int(generator.integers(fewest, most))))


@pytest.mark.parametrize(("examples", "fewest"), [(1, 6), (4, 0), (40, 0)])
def test_values_and_replicates_are_the_libraries(examples: int, fewest: int) -> None:
    """With empty texts, texts without a 4-gram, and one that is nothing but right."""
    generator = np.random.default_rng(examples)
    labels = answers([text(generator, max(1, fewest), 14) for _ in range(examples)])
    drawn = [[text(generator, fewest, 14) for _ in range(examples)] for _ in range(2)]
    mixed = [label if place % 2 else other for place, (label, other) in enumerate(zip(labels, drawn[0], strict=True))]
    check(METRICS, labels, np.array([*drawn, mixed, labels.tolist()], dtype=object), reference)


def test_all_are_shares_the_first_is_bleu_and_words_are_stemmed() -> None:
    labels = answers(["The cats were sitting on a mat.", "They don't purr, as cats do."])
    assert METRICS.names[0] == "bleu"
    assert METRICS.values(labels, labels, 0) == pytest.approx(dict.fromkeys(METRICS.names, 1.0))
    assert METRICS.values(answers(["sitting cats"]), answers(["sits cat"]), 0)["rouge2"] == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("label", "prediction"), [("The cat sat.", ""), ("", "The cat sat."), ("", "")])
def test_nothing_written_or_nothing_to_write_is_worth_nothing(label: str, prediction: str) -> None:
    labels, predictions = answers([label] * 3), answers([prediction] * 3)
    assert METRICS.values(labels, predictions, 0) == dict.fromkeys(METRICS.names, 0.0)
    found = METRICS.replicates(labels, predictions[None], 0, np.ones((2, 3)))
    assert all((replicates == 0).all() for replicates in found.values())


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stemmer of nltk, whose other parts are downloaded, is code alone."""

    def refuse(*_: object) -> None:
        raise AssertionError("it opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert METRICS.values(answers(["running cats"]), answers(["runs cat"]), 0)["rouge1"] == 1
