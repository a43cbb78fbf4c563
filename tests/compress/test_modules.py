"""Putting a module in another's place."""

from __future__ import annotations

import torch
from torch import nn

from stages.compress import modules


def test_it_is_put_wherever_the_other_stood() -> None:
    """Some architectures have one table under several names."""
    table = nn.Embedding(3, 2)
    model = nn.ModuleDict({"shared": table, "encoder": nn.ModuleDict({"table": table}), "other": nn.Embedding(3, 2)})
    other, new = model["other"], nn.Linear(1, 1)
    modules.replace(model, table, new)
    assert model["shared"] is new
    assert model.get_submodule("encoder.table") is new
    assert model["other"] is other
    assert torch.equal(model.state_dict()["shared.weight"], new.weight)
