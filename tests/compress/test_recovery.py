"""Training of what was made smaller: what it learns, and that it goes on after a kill as if there had been none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from stages import artifacts
from stages.compress import files
from stages.compress.base import Material
from stages.compress.recovery import soft_loss
from stages.errors import StageError
from stages.finetune.predict import scores
from stages.finetune.tagged import IGNORED
from stages.model import classifier
from stages.training import loop
from tests.compress.conftest import save
from tests.compress.made import compress, examples, material
from tests.training.toy import Silent


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def labelled(labels: Tensor) -> Any:
    return SimpleNamespace(labels=labels)


def divergence(told: Tensor, said: Tensor) -> Tensor:
    """4 · KL at temperature 2, by PyTorch's own distributions."""
    return 4 * kl_divergence(Categorical(logits=told / 2), Categorical(logits=said / 2))


def test_softened_classes() -> None:
    said, told = random(5, 3), random(5, 3) + 1
    found = soft_loss(said, told.flip(0), labelled(torch.zeros(5)), "classification", 2.0)
    torch.testing.assert_close(found, divergence(told.flip(0), said).sum())


def test_softened_tags_are_those_of_words() -> None:
    """The mean over an example's words, as of the labels' own loss."""
    said, told, labels = random(2, 6, 4), random(2, 6, 4).flip(0), torch.zeros(2, 6, dtype=torch.long)
    labels[0, 2:], labels[1, 5:] = IGNORED, IGNORED
    found = soft_loss(said, told, labelled(labels), "token_classification", 2.0)
    every = divergence(told, said)
    torch.testing.assert_close(found, every[0, :2].mean() + every[1, :5].mean())


def test_softened_ends_are_over_the_length() -> None:
    said, told = random(2, 6, 2), random(2, 6, 2).flip(1)
    found = soft_loss(said, told, labelled(torch.zeros(2, 2)), "question_answering", 2.0)
    expected = [divergence(told[..., end], said[..., end]) for end in (0, 1)]
    torch.testing.assert_close(found, (expected[0] + expected[1]).sum() / 2)


def test_scores_are_compared_by_squares() -> None:
    said, told = random(5, 1), random(5, 1) + 2
    found = soft_loss(said, told, labelled(torch.zeros(5)), "regression", 2.0)
    torch.testing.assert_close(found, (said - told).pow(2).sum())


def test_with_the_uncompressed_model_it_comes_nearer_to_what_that_says(tmp_path: Path) -> None:
    """Than from labels alone, which here say something else."""
    saved = save(tmp_path / "encoder", "encoder")
    data = material(tmp_path / "data", saved)
    recovery = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 8}
    told = scores(classifier.load(saved), data.family, data.train, torch.float32)
    far = []
    for name, more in (("alone", {"distill": False}), ("taught", {"distill": True})):
        options = {"sparsity": 0.9, "importance": "l1", "recovery": {**recovery, **more}}
        compress(tmp_path / name, saved, ("prune_neurons", options), data=data.part(name))
        said = scores(files.load(tmp_path / name), data.family, data.train, torch.float32)
        far.append(float(np.abs(said - told).mean()))
    assert far[1] < 0.9 * far[0]


CHAIN = (
    ("prune_neurons", {"sparsity": 0.5, "rounds": 2, "recovery": {"batch_size": 16}}),
    ("distill", {"num_hidden_layers": 1, "batch_size": 16}),
)


@pytest.mark.parametrize("stop_after", [2, 6, 9])
def test_a_run_that_was_killed_goes_on_bit_for_bit(
    stop_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first round, in the second, and in the step behind it; what was trained before is not trained again."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    saved = save(tmp_path / "encoder", "encoder")
    whole = Silent()
    compress(tmp_path / "whole", saved, *CHAIN, data=material(tmp_path / "a", saved, observer=whole))
    assert whole.steps == 3 * 4
    with pytest.raises(KeyboardInterrupt):
        compress(tmp_path / "killed", saved, *CHAIN, data=material(tmp_path / "b", saved, observer=Silent(stop_after)))
    assert not (tmp_path / "killed").exists()
    rest = Silent()
    data = material(tmp_path / "b", saved, observer=rest)
    compress(tmp_path / "killed", saved, *CHAIN, data=data)
    assert artifacts.md5(tmp_path / "killed") == artifacts.md5(tmp_path / "whole")
    assert rest.steps == whole.steps - stop_after + 1
    data.discard()
    assert not data.checkpoints.exists()


def test_without_examples_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    saved = save(tmp_path / "encoder", "encoder")
    data: Material = material(tmp_path / "data", saved, train=examples(tmp_path / "none", 28, 0, 1))
    with pytest.raises(StageError, match=r"params\.yaml: finetune\.max_train_examples: no training examples"):
        compress(tmp_path / "small", saved, ("prune_heads", {"sparsity": 0.5}), data=data)
