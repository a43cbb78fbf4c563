"""What data may be like without harm, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stages import token_store
from stages.errors import StageError
from stages.finetune import examples as task_examples
from stages.finetune.examples import Examples
from stages.finetune.methods import METHODS
from stages.finetune.methods.base import Job
from stages.finetune.predict import scores
from stages.finetune.tasks.classification import Classification
from stages.model import backbone
from stages.task import Task
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID
from tests.finetune.made import LENGTH, job
from tests.finetune.methods.made import method, pretrained, shortened

THREE = Classification(Task(family="classification", labels=("low", "high", "never"), metric="accuracy"))


def relabelled(part: Examples, labels: np.ndarray) -> Examples:
    """The same texts with other labels."""
    store = replace(part._store, labels=labels)
    return Examples(store, part.indices, part._max_length, PAD_ID)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("zero_shot", "few_shot")])
def test_a_label_that_never_occurs_in_train(name: str, tmp_path: Path) -> None:
    """Is one that a model may be asked about, but hardly says; the others are learnt as ever."""
    base = pretrained(tmp_path / "base", "encoder")
    given = shortened(tmp_path, name)
    asked = given.validation.labels.copy()
    asked[:5] = 2
    three = Job(**{**vars(given), "family": THREE, "validation": relabelled(given.validation, asked)})
    tuned = method(name).fit(backbone.load(base), three)
    rows = scores(tuned.model, THREE, three.validation, torch.float32)
    assert rows.shape == (100, 3)
    assert np.isfinite(rows).all()
    said = THREE.predictions(rows)
    assert rows[:, 2].max() < 1e-6
    assert (said == asked)[5:].mean() > 0.8


@pytest.mark.parametrize("part", ["train", "validation"])
def test_rows_of_one_label_alone(part: str, tmp_path: Path) -> None:
    """Nothing can be learnt or chosen by them; of scores as of classes."""
    given = job(tmp_path)
    parts = {"train": given.train, "validation": given.validation}
    for value in (np.zeros(len(parts[part]), dtype=np.int64), np.full(len(parts[part]), 2.5, dtype=np.float32)):
        changed = {**parts, part: relabelled(parts[part], value)}
        with pytest.raises(StageError, match=f"task rte: the .* {part} examples in use all have one label; raise"):
            task_examples.check_labels("rte", **changed)
    task_examples.check_labels("rte", **parts)


@pytest.mark.timeout(60)
def test_a_text_of_a_hundred_thousand_words(tmp_path: Path) -> None:
    """Is cut as others are, and says what its beginning says; those beside it in a batch are as they were."""
    base = pretrained(tmp_path / "base", "encoder")
    given = shortened(tmp_path, "frozen")
    model = method("frozen").fit(backbone.load(base), given).model
    endless = [CLS_ID, *np.random.default_rng(0).integers(10, 60, 100_000).tolist(), SEP_ID]
    short = [CLS_ID, 10, 50, SEP_ID]
    begun = [*endless[: LENGTH - 1], SEP_ID]
    store = token_store.collect([(endless, 1), (begun, 1), (short, 1)], np.array([0, 1, 0]))
    rows = scores(model, given.family, Examples(store, np.arange(3), LENGTH, PAD_ID), torch.float32)
    alone = scores(model, given.family, Examples(store, np.array([2]), LENGTH, PAD_ID), torch.float32)
    assert rows[0] == pytest.approx(rows[1])
    assert rows[2] == pytest.approx(alone[0], abs=1e-6)


def test_a_test_split_of_one_label(tmp_path: Path) -> None:
    """Can be asked: figures are finite, and those of a correlation 0."""
    figures = THREE.figures(np.ones(10, dtype=np.int64), np.eye(3, dtype=np.float32)[[0, 1] * 5])
    assert figures["accuracy"] == 0.5
    assert figures["matthews"] == 0
    assert all(np.isfinite(list(figures.values())))
