"""Metrics of tags: entities found and found right, by seqeval; the bootstrap counts them per example.

An entity counts if its type and both its ends are right (Tjong Kim Sang & De Meulder 2003, CoNLL-2003, §2). Tags are
IOB2, read as that task's own evaluation reads them: an I- that continues nothing begins an entity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.metrics.additive import Additive, ratio
from stages.metrics.base import Answers


class TokenClassification(Additive):
    """F1, precision and recall of all entities together; the share of tags that are right. 0 where there are none.

    An answer is an example's tags, with spaces between: ``O B-PER I-PER``; predictions have as many as labels.
    """

    names = ("f1", "precision", "recall", "accuracy")

    def values(self, labels: Answers, predictions: Answers, classes: int) -> dict[str, float]:
        from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

        tags = [[answer.split() for answer in answers] for answers in (labels, predictions)]
        by_entity = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        return {
            **{name: float(score(*tags, zero_division=0)) for name, score in by_entity.items()},
            "accuracy": float(accuracy_score(*tags)) if any(tags[0]) else 0.0,
        }

    def statistics(self, labels: Answers, predictions: Answers) -> NDArray[np.float64]:
        """Entities there are, those given, and those right; tags, and those right."""
        from seqeval.metrics.sequence_labeling import get_entities

        rows = []
        for label, prediction in zip(labels, predictions, strict=True):
            actual, given = label.split(), prediction.split()
            entities, found = set(get_entities(actual)), set(get_entities(given))
            right = sum(one == other for one, other in zip(actual, given, strict=True))
            rows.append((len(entities), len(found), len(entities & found), len(actual), right))
        return np.array(rows, dtype=np.float64)

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        entities, found, hits, tags, right = np.moveaxis(sums, -1, 0)
        return {
            "f1": ratio(2 * hits, entities + found),
            "precision": ratio(hits, found),
            "recall": ratio(hits, entities),
            "accuracy": ratio(right, tags),
        }
