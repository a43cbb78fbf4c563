"""Exact match and F1 are SQuAD's: examples worked out by hand, and the definition written out with multisets."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest

from stages.metrics.base import Answers
from stages.metrics.question_answering import QuestionAnswering
from tests.metrics.resampling import answers, check

METRICS = QuestionAnswering()
WORDS = ["The", "a", "an", "Normans", "normans", "1066.", "U.S.", "it's", "—the", "Théâtre", "river", "...", "(river)"]


def words(text: str) -> list[str]:
    """Of the lower-case text all that is neither ASCII punctuation nor an article."""
    plain = re.sub(r"[!-/:-@\\[-`{-~]", "", text.lower())
    return re.sub(r"(?<!\w)(the|an|a)(?!\w)", " ", plain).split()


def agreement(accepted: list[str], prediction: str) -> tuple[float, float]:
    """The best F1, and whether any is the prediction."""
    given = words(prediction)
    wanted = [words(answer) for answer in accepted if words(answer)] or [[]]
    best = 0.0
    for answer in wanted:
        common = (Counter(answer) & Counter(given)).total()
        # 2PR / (P + R) of common words is 2 * common over the words of both; two that are empty are alike
        best = max(best, 2 * common / (len(answer) + len(given)) if answer or given else 1.0)
    return best, float(given in wanted)


def reference(labels: Answers, predictions: Answers) -> dict[str, float]:
    pairs = zip(labels, predictions, strict=True)
    f1, exact_match = np.mean([agreement(json.loads(label), prediction) for label, prediction in pairs], axis=0)
    return {"f1": f1, "exact_match": exact_match}


@pytest.mark.parametrize(
    ("accepted", "prediction", "f1", "exact_match"),
    [
        (["the Normans"], "Normans!", 1, 1),
        (["Denver Broncos"], "the Denver Broncos team", 4 / 5, 0),
        (["Denver Broncos", "The Broncos"], "broncos", 1, 1),
        (["10th century", "in the 10th and 11th centuries"], "10th and 11th centuries", 8 / 9, 0),
        (["to be or not to be"], "to to to", 4 / 9, 0),  # two of them, for there are no more
        (["U.S."], "us", 1, 1),
        (["analysis"], "an alysis", 0, 0),
        (["river"], "", 0, 0),
        ([], "", 1, 1),
        ([], "river", 0, 0),
        ([], "The ...", 1, 1),  # not a word: as good as none
        (["", "the"], "", 1, 1),
        (["", "river"], "", 0, 0),
    ],
)
def test_answers_worked_out_by_hand(accepted: list[str], prediction: str, f1: float, exact_match: float) -> None:
    found = METRICS.values(answers([json.dumps(accepted)]), answers([prediction]), 0)
    assert found == pytest.approx({"f1": f1, "exact_match": exact_match})


@pytest.mark.parametrize("examples", [1, 60])
def test_values_and_replicates_are_those_of_the_definition(examples: int) -> None:
    generator = np.random.default_rng(examples)

    def text() -> str:
        return " ".join(generator.choice(WORDS, int(generator.integers(0, 5))))

    labels = answers([json.dumps([text() for _ in range(generator.integers(0, 4))]) for _ in range(examples)])
    predictions = np.array([[text() for _ in range(examples)] for _ in range(3)], dtype=object)
    check(METRICS, labels, predictions, reference)


def test_a_model_that_is_silent_is_right_where_there_is_no_answer() -> None:
    labels = answers(["[]", '["river"]', "[]", "[]"])
    assert METRICS.values(labels, answers([""] * 4), 0) == {"f1": 0.75, "exact_match": 0.75}
