"""Metrics of texts that a model writes: BLEU and chrF by sacrebleu, ROUGE by rouge-score.

BLEU (Papineni et al. 2002, §2.3; words are those of sacrebleu's tokenizer 13a) and chrF (Popović 2015, §2) are of a
corpus: counts of all its sentences, added up before they are divided. ROUGE (Lin 2004, §2 and §3) is the mean of the
sentences' F-measures; words are stemmed, as is the custom for summaries, and rouge-score sees a to z and digits alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stages.metrics.additive import Additive, exact
from stages.metrics.base import Answers

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

ROUGE = ("rouge1", "rouge2", "rougeL")

COUNTS = {"bleu": 2 + 2 * 4, "chrf": 3 * 6}
"""How many sacrebleu takes of a sentence.

For BLEU both lengths, and of n-grams up to 4 those that are right and those that there are; for chrF, of n-grams of
letters up to 6, those that there are, those of the reference, and those that are right.
"""


class Generation(Additive):
    """All in 0..1, as other families have it; sacrebleu itself gives percent.

    A prediction is a text, a label the one that it should be.
    """

    names = (*COUNTS, *ROUGE)

    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        texts, references = list(predictions), [list(labels)]
        corpus = {name: scorer.corpus_score(texts, references).score / 100 for name, scorer in _scorers().items()}
        return {**corpus, **dict(zip(ROUGE, _rouge(labels, predictions).mean(axis=0).tolist(), strict=True))}

    def statistics(self, labels: Answers, predictions: Answers) -> NDArray[np.float64]:
        """The counts of BLEU and of chrF, ROUGE, and 1 to count sentences by."""
        texts, references = list(predictions), [list(labels)]
        counts = [scorer._extract_corpus_statistics(texts, references) for scorer in _scorers().values()]
        return np.hstack([*counts, exact(_rouge(labels, predictions)), np.ones((len(texts), 1))])

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        *counts, rouge, sentences = np.split(sums, np.cumsum([*COUNTS.values(), len(ROUGE)]), axis=-1)
        corpus = {name: _scored(scorer, part) for (name, scorer), part in zip(_scorers().items(), counts, strict=True)}
        return {**corpus, **dict(zip(ROUGE, np.moveaxis(rouge / sentences, -1, 0), strict=True))}


def _scorers() -> dict[str, Metric]:
    """Those of a corpus, by name."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return {"bleu": BLEU(force=True), "chrf": CHRF()}  # force: it does not warn of texts that end in " ."


def _scored(scorer: Metric, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sums (…, counts): what sacrebleu makes of them."""
    return np.apply_along_axis(lambda counts: scorer._compute_score_from_stats(counts.tolist()).score / 100, -1, sums)


def _rouge(labels: Answers, predictions: Answers) -> NDArray[np.float64]:
    """F-measures (examples, `ROUGE`)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(ROUGE, use_stemmer=True)
    found = [scorer.score(label, text) for label, text in zip(labels, predictions, strict=True)]
    return np.array([[scores[name].fmeasure for name in ROUGE] for scores in found])
