"""Training that feels the rounding."""

from __future__ import annotations

from pathlib import Path

import torch

from stages.compress import files
from stages.compress.methods.int8_dynamic import Int8Linear
from stages.compress.methods.int8_qat import Rounded, rounded_input
from stages.model import classifier
from tests.compress.conftest import save
from tests.compress.made import compress, material

RECOVERY = {"recovery": {"epochs": 2, "learning_rate": 3e-3, "batch_size": 16}}


def test_rounding_in_training_is_that_of_the_kernel() -> None:
    """The fp32 product of both roundings is what the int8 kernel gives."""
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(24, 7)
    for parameter in linear.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    inputs = torch.randn(9, 24, generator=generator)
    with torch.no_grad():
        expected = Int8Linear.of(linear)(inputs)
        found = torch.nn.functional.linear(rounded_input(inputs), Rounded()(linear.weight), linear.bias)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_pass_by_the_rounding() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    factors = torch.arange(24.0).view(4, 6)
    (Rounded()(weight) * factors).sum().backward()
    assert torch.equal(weight.grad, factors)  # type: ignore[arg-type]


def test_it_learns_and_nothing_of_training_stays(tmp_path: Path) -> None:
    """What was trained answers the training texts better than what was only rounded; it is saved in the same form."""
    source = save(tmp_path / "encoder", "encoder")
    compress(tmp_path / "rounded", source, "int8_dynamic")
    compress(tmp_path / "trained", source, ("int8_qat", RECOVERY))
    rounded, trained = (files.load(tmp_path / name) for name in ("rounded", "trained"))
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (rounded, trained)]  # type: ignore[attr-defined]
    assert shapes[0] == shapes[1]
    data = material(tmp_path / "material", source)
    (batch,) = data.batches(60, 60)
    losses = [
        float(data.family.loss(model(batch.input_ids, batch.attention_mask), batch.labels))
        for model in (rounded, trained)
    ]
    assert losses[1] < losses[0]
    assert not [name for name, _ in classifier.load(source).named_parameters() if "parametrizations" in name]
