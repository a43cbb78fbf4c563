"""First tokens alone have the states and the gradients that they have among all others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stages.finetune.methods.prompt import Prompt
from stages.model import backbone, classifier, imported
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.finetune.methods.made import method
from tests.model import checkpoints
from tests.model.test_classifier_pooling import OWN, pretrained
from tests.model.test_transformer import batch

KIN = ("bert", "roberta", "deberta-v2")
"""Kinds of checkpoints whose last layer can compute first tokens alone."""

LONGFORMER = {**checkpoints.SIZES, "attention_window": 4, "pad_token_id": 0}
"""Pads texts to whole windows, and cuts what its layers give to the text again."""


def gradients(model: nn.Module, state: Tensor) -> dict[str, Tensor]:
    """Of a number that every unit of a state (batch, width) has a say in."""
    model.zero_grad()
    (state * torch.linspace(-1, 1, state.shape[1])).sum().backward()
    return {name: part.grad for name, part in model.named_parameters() if part.grad is not None}


def assert_same_alone(model: backbone.Backbone, ids: Tensor, mask: Tensor, width: int) -> None:
    """Of the last depth and of one below; ``width`` is how many states the last one is to have."""
    assert isinstance(model, nn.Module)
    for depth in model.depths[-2:]:
        among, alone = (model(ids, mask, torch.float32, depth, first=first) for first in (False, True))
        for one, other in zip(alone, among, strict=True):
            torch.testing.assert_close(one[:, 0], other[:, 0])
        expected = gradients(model, among[-1][:, 0])
        found = gradients(model, alone[-1][:, 0])
        assert found.keys() == expected.keys()
        for name in found:
            torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-4, msg=name)
    assert alone[-1].shape[1] == width


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_imported(kind: str, tmp_path: Path) -> None:
    """Where the architecture has no such place, all states are computed."""
    ids, mask = checkpoints.batch(padding=1 if kind == "roberta" else 0)
    width = 1 if kind in KIN else ids.shape[1]
    assert_same_alone(imported.load(checkpoints.save(tmp_path / kind, kind)), ids, mask, width)


@pytest.mark.parametrize("architecture", OWN)
def test_ours(architecture: str, tmp_path: Path) -> None:
    assert_same_alone(backbone.load(pretrained(tmp_path / architecture, architecture)), *batch(), 1)


def test_what_needs_all_states_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """An architecture with the same names that reads other tokens behind its layers is computed whole."""
    monkeypatch.setitem(checkpoints.KINDS, "longformer", LONGFORMER)
    model = imported.Imported(checkpoints.model("longformer"))
    with torch.no_grad():
        ids, mask = checkpoints.batch()
        assert model(ids, mask, first=True)[-1].shape == (2, 20, 32)


@pytest.mark.parametrize("kind", ["bert", "encoder"])
def test_virtual_tokens_stand_before_the_first(kind: str, tmp_path: Path) -> None:
    """The first token that is pooled is the text's."""
    folder = checkpoints.save(tmp_path / kind, kind) if kind == "bert" else pretrained(tmp_path / kind, kind)
    body = backbone.load(folder)
    model = Classifier(body, ClassifierConfig(("no", "yes"), tuple(body.depths), 20, "first"))
    prompt = method("prompt")
    assert isinstance(prompt, Prompt)
    prompt.attach(model, 0)
    ids, mask = checkpoints.batch()
    with torch.no_grad():
        states = model.transformer(ids, mask, torch.float32, max(body.depths))
        pooled = [model.finished(classifier.pool(state, mask, "first")) for state in states]
        assert torch.equal(model.features(ids, mask, torch.float32), torch.cat(pooled, dim=-1))
