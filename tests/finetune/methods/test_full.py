"""Where full tuning begins, and what it does not depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.finetune.examples import Examples
from stages.finetune.methods.probe import read
from stages.finetune.predict import Scorer, scores
from stages.finetune.tasks.classification import INVERSE_PENALTIES
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.finetune.made import ARCHITECTURES, CLASSES, LENGTH, TASK, backbone, examples, job
from tests.finetune.methods.made import RATES, method


def probabilities(model: Scorer, some: Examples, dtype: torch.dtype) -> NDArray[np.float32]:
    """Those of both classes."""
    return scores(model, CLASSES, some, dtype)


def test_full_does_not_depend_on_the_length_of_embeddings(tmp_path: Path) -> None:
    """A norm hides it from the model, so it must not decide how far tuning moves them."""
    predicted = []
    for factor in (1, 20):
        model = backbone("encoder")
        with torch.no_grad():
            model.embeddings.tok_embeddings.weight.mul_(factor)
        tuned = method("full").fit(model, job(tmp_path / str(factor)))
        predicted.append(probabilities(tuned.model, examples(tmp_path / "test", 200, 3), torch.float32))
    np.testing.assert_allclose(*predicted, atol=0.01)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_full_begins_as_the_best_logistic_regression(architecture: str, tmp_path: Path) -> None:
    """With a rate of nearly nothing it ends there: scikit-learn's pipeline on all depths side by side."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, body = job(tmp_path), backbone(architecture)
    tuned = method("full", **dict.fromkeys(RATES, 1e-12), epochs=1).fit(backbone(architecture), data)
    body.shrink_embeddings()
    reader = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH)).eval()
    test = examples(tmp_path / "test", 200, 3)
    train, validation, held_out = (
        read(reader, CLASSES, part, torch.float32).features.reshape(len(part), -1)
        for part in (data.train, data.validation, test)
    )
    heads = [
        make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000)).fit(train, data.train.labels)
        for penalty in INVERSE_PENALTIES
    ]
    best = max(heads, key=lambda head: head.score(validation, data.validation.labels))
    reference = best.predict_proba(held_out)
    assert probabilities(tuned.model, test, torch.float32) == pytest.approx(reference, abs=2e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_probabilities_do_not_depend_on_batching(architecture: str, tmp_path: Path) -> None:
    """Each example alone has the scores that it has among others."""
    tuned = method("full").fit(backbone(architecture), job(tmp_path))
    test = examples(tmp_path / "test", 40, 3)
    together = probabilities(tuned.model, test, torch.float32)
    for place in range(40):
        batch = test.batch(np.array([place]))
        with torch.no_grad():
            alone = tuned.model(batch.input_ids, batch.attention_mask).softmax(-1).numpy()
        assert together[place] == pytest.approx(alone[0], abs=1e-5)
