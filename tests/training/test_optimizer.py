"""Which parameter goes to which rule."""

from __future__ import annotations

import pytest
import torch

from stages.training.optimizer import adamw, muon_adamw
from tests.model.test_transformer import made


def test_every_parameter_is_stepped_once_by_the_right_rule() -> None:
    """Muon has the layers' matrices; embeddings and norms are AdamW's, norms without decay."""
    model = made(causal=False)
    parts = muon_adamw(
        model, learning_rate=1e-3, matrix_learning_rate=1e-2, weight_decay=0.1, dtype=torch.float32
    ).parts
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    owners = {
        names[id(parameter)]: (type(part).__name__, group.get("weight_decay"))
        for part in parts
        for group in part.param_groups
        for parameter in group["params"]
    }
    assert set(owners) == set(names.values())
    for name, owner in owners.items():
        if "norm" in name:
            assert owner == ("AdamW", 0.0)
        elif "embedding" in name:
            assert owner == ("AdamW", 0.1)
        else:
            assert owner == ("Muon", None)


def test_a_step_follows_the_schedule() -> None:
    """AdamW's first step moves every weight by the scheduled rate, and gradients are cleared."""
    model = torch.nn.Linear(3, 3, bias=False)
    before = model.weight.detach().clone()
    optimizers = adamw(model, learning_rate=0.1, weight_decay=0.0)
    model(torch.ones(1, 3)).sum().backward()
    optimizers.step(0.5)
    assert (before - model.weight).detach().numpy() == pytest.approx(0.05, rel=1e-4)
    assert model.weight.grad is None
