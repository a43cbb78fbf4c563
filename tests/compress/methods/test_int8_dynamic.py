"""int8 weights against their definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.compress import files
from stages.compress.methods.int8_dynamic import STEPS, Int8Linear, quantize
from stages.model import classifier
from stages.model import files as model_files
from tests.compress.conftest import save
from tests.compress.made import compress

TRANSPOSED = ("c_attn.weight", "c_fc.weight", "c_proj.weight")
"""Matrices that GPT-2 has in a module of its own, (inputs, outputs)."""


def test_weights_are_within_half_a_step() -> None:
    """And the largest of each row is the last step; a row of zeros stays one."""
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    values, scale = quantize(weight)
    assert values.dtype == torch.int8
    assert ((values * scale[:, None] - weight).abs() <= scale[:, None] / 2 + 1e-7).all()
    largest = values.abs().amax(1)
    assert (largest[torch.arange(40) != 3] == STEPS).all()
    assert largest[3] == 0


@pytest.mark.parametrize("alike", [False, True])
def test_products_are_those_of_integers(alike: bool) -> None:
    """On every processor; the largest inputs and weights side by side are what overflows 16 bits."""
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(64, 10, bias=False)
    torch.nn.init.normal_(linear.weight, generator=generator)
    inputs = torch.randn(9, 64, generator=generator)
    if alike:
        torch.nn.init.ones_(linear.weight)
        inputs = inputs.abs().clamp(min=3.0)
    values, scale = quantize(linear.weight.detach())
    low, high = min(float(inputs.min()), 0.0), float(inputs.max())
    step = (high - low) / STEPS
    zero = round(-low / step)
    integers = (inputs / step).round().add(zero).clamp(0, STEPS).long() - zero
    expected = (integers @ values.T.long()).double() * scale.double() * step
    torch.testing.assert_close(Int8Linear.of(linear)(inputs).double(), expected, atol=1e-5, rtol=1e-5)


def test_every_matrix_but_the_head_is_quantized(saved: Path, tmp_path: Path) -> None:
    """Four bytes a weight become one: no other of two dimensions is left in fp32, but for what no kernel here reads."""
    compress(tmp_path / "small", saved, "int8_dynamic")
    tensors = model_files.load_weights(tmp_path / "small" / model_files.WEIGHTS)
    for name, parameter in classifier.load(saved).named_parameters():
        if parameter.ndim == 2 and not name.endswith((*TRANSPOSED, "classifier.weight")):
            module = name.removesuffix(".weight")
            values = tensors[name] if name in tensors else tensors[f"{module}.rows"]
            step = tensors[f"{module}.scale"][:, None]
            assert values.dtype == torch.int8
            assert ((values * step - parameter).abs() <= step / 2 + 1e-7).all()
        else:
            assert torch.equal(tensors[name], parameter)


@pytest.mark.parametrize("name", ["int8_dynamic", "int8_static", "int8_qat"])
def test_the_head_stays_in_fp32(name: str, tmp_path: Path) -> None:
    compress(tmp_path / "small", save(tmp_path / "encoder", "encoder"), name)
    model = files.load(tmp_path / "small")
    assert type(model.classifier) is torch.nn.Linear  # type: ignore[attr-defined]
    assert model.classifier.weight.dtype == torch.float32  # type: ignore[attr-defined]


def test_weights_that_are_loaded_later_are_those_that_compute() -> None:
    """The kernel's own copy of them is made anew."""
    module, inputs = Int8Linear.of(torch.nn.Linear(64, 10, bias=False)), torch.linspace(-1, 1, 64)[None]
    before = module(inputs)
    module.load_state_dict({"weight": module.weight, "scale": 2 * module.scale})
    torch.testing.assert_close(module(inputs), 2 * before)
