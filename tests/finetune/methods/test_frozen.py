"""Features as they are: the head is the best logistic regression, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.finetune.methods.probe import read
from stages.finetune.predict import scores
from stages.finetune.tasks.classification import INVERSE_PENALTIES
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.finetune.made import CLASSES, LENGTH, TASK, backbone, examples, job
from tests.finetune.methods.made import method


def test_frozen_is_the_best_logistic_regression(tmp_path: Path) -> None:
    """The same as scikit-learn's pipeline over all depths and penalties, prediction by prediction."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, body = job(tmp_path), backbone("encoder")
    tuned = method("frozen").fit(backbone("encoder"), job(tmp_path / "tuned"))
    reader = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH)).eval()
    train, validation = (read(reader, CLASSES, part, torch.float32).features for part in (data.train, data.validation))
    test = examples(tmp_path / "test", 200, 3)
    held_out = read(reader, CLASSES, test, torch.float32).features
    best = None
    for depth in range(train.shape[1]):
        for penalty in INVERSE_PENALTIES:
            head = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000))
            head.fit(train[:, depth], data.train.labels)
            value = head.score(validation[:, depth], data.validation.labels)
            if best is None or value > best[0]:
                best = value, depth, head
    assert best is not None
    assert tuned.model.config.depths == (best[1],)
    reference = best[2].predict_proba(held_out[:, best[1]])
    assert scores(tuned.model, CLASSES, test, torch.float32) == pytest.approx(reference, abs=2e-3)
