"""Integrated gradients against their definition, and attention against that of transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.diagnose.attribution import LONGEST, attention, attributions, token_table
from stages.model.classifier import Classifier
from stages.predict.predictor import Predictor
from tests.predict import made

TEXTS = [("a fine film about anna",), ("bad bad bad " * 40,)]


@pytest.fixture(params=["encoder", "decoder", "bert"])
def predictor(request: pytest.FixtureRequest, tmp_path: Path) -> Predictor:
    """Of a model of which every weight matters."""
    made_up = Predictor(made.tuned(tmp_path / "model", request.param))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made_up.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return made_up


def test_scores_are_the_integral_of_the_gradient(predictor: Predictor) -> None:
    """By a sum over many steps of the path, written out; together they are the whole difference of the logits."""
    found = attributions(predictor, TEXTS, [0, 1], predictor.labels)
    assert len(found) == 2
    assert len(found[1].tokens) == len(found[1].scores) == min(LONGEST, len(predictor.tokens(TEXTS[1], 999)[1]))
    model = predictor.model
    assert isinstance(model, Classifier)
    table = token_table(model)
    assert table is not None
    ids, tokens = predictor.tokens(TEXTS[0], LONGEST)
    assert tokens == found[0].tokens
    blank = ids.clone()
    blank[:, 1:-1] = predictor.pad_id
    answer = predictor.labels.index(found[0].prediction)
    start, end = table(blank).detach(), table(ids).detach()
    expected = torch.zeros(ids.shape)
    steps = 400
    for step in range(steps):
        point = (start + (step + 0.5) / steps * (end - start)).requires_grad_()
        handle = table.register_forward_hook(lambda *_, point=point: point)
        logit = model(ids, torch.ones_like(ids))[0, answer]
        handle.remove()
        (gradient,) = torch.autograd.grad(logit, point)
        expected += (gradient * (end - start)).sum(-1) / steps
    torch.testing.assert_close(torch.tensor([found[0].scores]), expected, atol=2e-3, rtol=0.02)
    with torch.no_grad():
        whole = (model(ids, torch.ones_like(ids)) - model(blank, torch.ones_like(ids)))[0, answer]
    assert sum(found[0].scores) == pytest.approx(float(whole), abs=5e-3)


def test_attention_is_that_of_transformers(tmp_path: Path) -> None:
    """The same weights in the stock architecture that holds our block."""
    from transformers import AutoModel

    folder = made.tuned(tmp_path / "model", "encoder")
    predictor = Predictor(folder)
    model = predictor.model
    assert isinstance(model, Classifier)
    ids, _ = predictor.tokens(TEXTS[0], LONGEST)
    stock = AutoModel.from_pretrained(tmp_path / "model-pretrained", attn_implementation="eager")
    found = attention(model, lambda: model(ids, torch.ones_like(ids)))
    with torch.no_grad():
        expected = stock(ids, attention_mask=torch.ones_like(ids), output_attentions=True).attentions
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.tensor(ours), theirs[0].mean(0), atol=1e-4, rtol=1e-3)
