"""Metrics of answers to questions: SQuAD's exact match and F1 (Rajpurkar et al. 2016, §6.1).

F1 is of words, each counted as often as it occurs: the F-measure of ROUGE-1 (Lin 2004, §2), which rouge-score computes
of SQuAD's words. Of several accepted answers the nearest counts. Where a question has none, silence scores 1 and any
answer 0 (Rajpurkar et al. 2018, Know What You Don't Know).
"""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stages.metrics.additive import Additive, exact
from stages.metrics.base import Answers

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


class QuestionAnswering(Additive):
    """The mean of both over all questions, in 0..1.

    A prediction is an answer, "" for none; a label is a JSON list of the accepted ones, ``[]`` where there are none.
    """

    names = ("f1", "exact_match")

    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        return dict(zip(self.names, _compared(labels, predictions).mean(axis=0).tolist(), strict=True))

    def statistics(self, labels: Answers, predictions: Answers) -> NDArray[np.float64]:
        """F1, exact match, and 1 to count questions by."""
        return exact(np.hstack([_compared(labels, predictions), np.ones((len(labels), 1))]))

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        f1, exact_match, questions = np.moveaxis(sums, -1, 0)
        return {"f1": f1 / questions, "exact_match": exact_match / questions}


class Words:
    """Words as SQuAD compares them: lower case, without punctuation and articles."""

    def tokenize(self, text: str) -> list[str]:
        return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def _compared(labels: Answers, predictions: Answers) -> NDArray[np.float64]:
    """F1 and exact match of each question (questions, 2)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1"], tokenizer=Words())
    pairs = zip(labels, predictions, strict=True)
    return np.array([_agreement(json.loads(label), prediction, scorer) for label, prediction in pairs])


def _agreement(accepted: list[str], prediction: str, scorer: RougeScorer) -> tuple[float, float]:
    """F1 and exact match of one prediction; an accepted answer without a word is none."""
    tokenize = Words().tokenize
    given, wanted = tokenize(prediction), [answer for answer in accepted if tokenize(answer)]
    if not given or not wanted:
        agree = float(not given and not wanted)
        return agree, agree
    f1 = scorer.score_multi(wanted, prediction)["rouge1"].fmeasure
    return f1, float(given in map(tokenize, wanted))
