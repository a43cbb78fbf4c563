"""Every method on every architecture, and each against its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.errors import StageError
from stages.finetune import methods
from stages.finetune.examples import Examples
from stages.finetune.methods import METHODS
from stages.finetune.methods.probe import features
from stages.finetune.predict import Scorer, scores
from stages.finetune.tasks.classification import INVERSE_PENALTIES
from stages.model.classifier import Classifier, ClassifierConfig
from tests.finetune.made import ARCHITECTURES, CLASSES, LENGTH, SCORES, TASK, backbone, examples, job

RATES = {"learning_rate": 3e-3, "imported_learning_rate": 3e-3}
FULL = {**RATES, "epochs": 4, "batch_size": 16, "warmup": 0.1, "weight_decay": 0.01, "patience": 3}
OPTIONS = {"full": FULL}


def probabilities(model: Scorer, some: Examples, dtype: torch.dtype) -> NDArray[np.float32]:
    """Those of both classes."""
    return scores(model, CLASSES, some, dtype)


def fit(name: str, architecture: str, folder: Path):  # type: ignore[no-untyped-def]
    """A tuned 32-dim model."""
    kind = METHODS[name]
    return kind(kind.Options(**OPTIONS.get(name, {}))).fit(backbone(architecture), job(folder))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", METHODS)
def test_it_learns_a_made_task(name: str, architecture: str, tmp_path: Path) -> None:
    """Nearly all held-out texts are told right, and the parameters are counted."""
    tuned = fit(name, architecture, tmp_path)
    test = examples(tmp_path / "test", 200, 3)
    found = probabilities(tuned.model, test, torch.float32)
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
    assert CLASSES.figures(test.labels, found)["accuracy"] > 0.9
    total = sum(parameter.numel() for parameter in tuned.model.parameters())
    assert 0 < tuned.trainable_parameters <= total
    assert (tuned.trainable_parameters == total) is (name == "full")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", METHODS)
def test_it_learns_made_scores(name: str, architecture: str, tmp_path: Path) -> None:
    """Far better than by chance; the epoch or depth that is kept is the best one on validation."""
    kind = METHODS[name]
    tuned = kind(kind.Options(**OPTIONS.get(name, {}))).fit(backbone(architecture), job(tmp_path, family=SCORES))
    test = examples(tmp_path / "test", 200, 3, scored=True)
    found = SCORES.figures(test.labels, scores(tuned.model, SCORES, test, torch.float32))
    assert found["score"] == found["pearson"] > 0.85
    validation = examples(tmp_path / "again", 100, 2, scored=True)
    kept = SCORES.figures(validation.labels, scores(tuned.model, SCORES, validation, torch.float32))["score"]
    assert kept == pytest.approx(max(row["score"] for row in tuned.curve), abs=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_frozen_leaves_the_transformer_alone(architecture: str, tmp_path: Path) -> None:
    """Not a bit of it changes."""
    before, after = (
        backbone(architecture).state_dict(),
        fit("frozen", architecture, tmp_path).model.transformer.state_dict(),
    )
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_full_does_not_depend_on_the_length_of_embeddings(tmp_path: Path) -> None:
    """A norm hides it from the model, so it must not decide how far tuning moves them."""
    predicted = []
    for factor in (1, 20):
        model = backbone("encoder")
        with torch.no_grad():
            model.embeddings.tok_embeddings.weight.mul_(factor)
        tuned = METHODS["full"](METHODS["full"].Options(**FULL)).fit(model, job(tmp_path / str(factor)))
        predicted.append(probabilities(tuned.model, examples(tmp_path / "test", 200, 3), torch.float32))
    np.testing.assert_allclose(*predicted, atol=0.01)


def test_frozen_is_the_best_logistic_regression(tmp_path: Path) -> None:
    """The same as scikit-learn's pipeline over all depths and penalties, prediction by prediction."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tuned, data, body = fit("frozen", "encoder", tmp_path), job(tmp_path), backbone("encoder")
    reader = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH)).eval()
    train, validation = (features(reader, part, torch.float32) for part in (data.train, data.validation))
    test = examples(tmp_path / "test", 200, 3)
    held_out = features(reader, test, torch.float32)
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
    assert probabilities(tuned.model, test, torch.float32) == pytest.approx(reference, abs=2e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_full_begins_as_the_best_logistic_regression(architecture: str, tmp_path: Path) -> None:
    """With a rate of nearly nothing it ends there: scikit-learn's pipeline on all depths side by side."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind, data, body = METHODS["full"], job(tmp_path), backbone(architecture)
    tuned = kind(kind.Options(**{**FULL, **dict.fromkeys(RATES, 1e-12), "epochs": 1})).fit(backbone(architecture), data)
    body.shrink_embeddings()
    reader = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH)).eval()
    test = examples(tmp_path / "test", 200, 3)
    train, validation, held_out = (
        features(reader, part, torch.float32).reshape(len(part), -1) for part in (data.train, data.validation, test)
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
    tuned, test = fit("full", architecture, tmp_path), examples(tmp_path / "test", 40, 3)
    together = probabilities(tuned.model, test, torch.float32)
    for place in range(40):
        batch = test.batch(np.array([place]))
        with torch.no_grad():
            alone = tuned.model(batch.input_ids, batch.attention_mask).softmax(-1).numpy()
        assert together[place] == pytest.approx(alone[0], abs=1e-5)


def test_an_unknown_method_is_named() -> None:
    """With those that there are."""
    with pytest.raises(StageError, match=r"finetune\.methods.*'lora'.*frozen"):
        methods.get("lora")
