"""The metrics of tags are seqeval's, for all examples and on every resample."""

from __future__ import annotations

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

from stages.metrics.base import Answers
from stages.metrics.token_classification import TokenClassification
from tests.metrics.resampling import answers, check

METRICS = TokenClassification()
TAGS = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def reference(labels: Answers, predictions: Answers) -> dict[str, float]:
    """As the field computes it, of lists of tags."""
    tags = [[answer.split() for answer in texts] for texts in (labels, predictions)]
    return {
        "f1": float(f1_score(*tags, zero_division=0)),
        "precision": float(precision_score(*tags, zero_division=0)),
        "recall": float(recall_score(*tags, zero_division=0)),
        "accuracy": float(accuracy_score(*tags)),
    }


@pytest.mark.parametrize("examples", [1, 5, 40])
def test_values_and_replicates_are_seqevals(examples: int) -> None:
    """With tags that continue nothing, or continue an entity of another type."""
    generator = np.random.default_rng(examples)
    actual = [generator.choice(TAGS, int(generator.integers(1, 12))) for _ in range(examples)]
    runs = [
        [np.where(generator.random(len(tags)) < kept, tags, generator.choice(TAGS, len(tags))) for tags in actual]
        for kept in (0.9, 0.5, 0.0)
    ]
    predictions = np.array([[" ".join(tags) for tags in run] for run in runs], dtype=object)
    check(METRICS, answers([" ".join(tags) for tags in actual]), predictions, reference)


def test_an_entity_counts_if_type_and_both_ends_are_right() -> None:
    """By hand: of three entities one is found, one is cut short, and one has another type."""
    labels = answers(["B-PER I-PER O B-LOC", "B-PER I-PER O"])
    found = METRICS.values(labels, answers(["B-PER I-PER O B-PER", "B-PER O O"]), 0)
    assert found == pytest.approx({"f1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3, "accuracy": 5 / 7})


def test_a_tag_that_continues_nothing_begins_an_entity() -> None:
    """As conlleval has it, and not as the scheme's letter would."""
    assert METRICS.values(answers(["O B-PER I-PER"]), answers(["O I-PER I-PER"]), 0)["f1"] == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("label", "prediction", "accuracy"),
    [("O B-PER", "O O", 0.5), ("O O", "O B-PER", 0.5), ("O O", "O O", 1), ("", "", 0)],
)
def test_where_there_is_nothing_to_divide_by_a_metric_is_0(label: str, prediction: str, accuracy: float) -> None:
    labels, predictions = answers([label] * 3), answers([prediction] * 3)
    expected = {"f1": 0, "precision": 0, "recall": 0, "accuracy": accuracy}
    assert METRICS.values(labels, predictions, 0) == expected
    found = METRICS.replicates(labels, predictions[None], 0, np.array([[1.0, 1, 1], [3, 0, 0]]))
    assert {name: found[name].tolist() for name in found} == {name: [[value] * 2] for name, value in expected.items()}
