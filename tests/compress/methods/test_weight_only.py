"""int8 and int4 weights in groups against their definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.compress import files
from stages.compress.groups import Groups, dequantize, quantize
from stages.model import classifier
from stages.model import files as model_files
from tests.compress.conftest import save
from tests.compress.made import compress
from tests.model.checkpoints import batch

BITS = {4: 7, 8: 127}


def drawn(rows: int, columns: int) -> torch.Tensor:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    return weight


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("columns", "size"), [(64, 16), (30, 8), (5, 32)])
def test_weights_are_within_half_a_step(bits: int, columns: int, size: int) -> None:
    """Of their own group, which may be cut short, and the largest of each is the last step."""
    weight = drawn(12, columns)
    found = quantize(weight, bits, size)
    again = dequantize(found, columns)
    for row in range(12):
        for number, start in enumerate(range(0, columns, size)):
            step, part = float(found.steps[row, number]), slice(start, start + size)
            assert (again[row, part] - weight[row, part]).abs().max() <= step / 2 * 1.01
            if row != 3:
                assert step == pytest.approx(float(weight[row, part].abs().max()) / BITS[bits], rel=1e-3)
    assert (again[3] == 0).all()


def test_every_value_of_four_bits_is_kept() -> None:
    """All from -7 to 7, in both halves of a byte, as plain arithmetic has them."""
    weight = torch.tensor([[low, high] for low in range(-7, 8) for high in (-7, 7)], dtype=torch.float32)
    found = quantize(weight, 4, 2)
    assert found.values.shape == (30, 1)
    for byte, (low, high) in zip(found.values.flatten().tolist(), weight.tolist(), strict=True):
        assert byte == int(low) % 16 + 16 * (int(high) % 16)
    assert torch.equal(dequantize(found, 2), weight)


def test_rows_are_looked_up_as_they_are() -> None:
    found = quantize(drawn(12, 30), 4, 8)
    ids = torch.tensor([[1, 5], [3, 1]])
    assert torch.equal(dequantize(Groups(found.values[ids], found.steps[ids]), 30), dequantize(found, 30)[ids])


@pytest.mark.parametrize("bits", BITS)
def test_it_computes_with_the_rounded_weights(bits: int, tmp_path: Path) -> None:
    """As the same model does whose weights are what the integers say."""
    source = save(tmp_path / "encoder", "encoder")
    compress(tmp_path / "small", source, (f"int{bits}_weight_only", {"group_size": 16}))
    model = classifier.load(source)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(dequantize(quantize(parameter, bits, 16), parameter.shape[1]))
        torch.testing.assert_close(files.load(tmp_path / "small")(*batch()), model(*batch()), atol=1e-5, rtol=1e-5)


def test_four_bits_are_half_a_byte(tmp_path: Path) -> None:
    """Beside a step of two bytes for each group; nothing of two dimensions stays in fp32."""
    source = save(tmp_path / "encoder", "encoder")
    compress(tmp_path / "small", source, ("int4_weight_only", {"group_size": 16}))
    tensors = model_files.load_weights(tmp_path / "small" / model_files.WEIGHTS)
    assert {tensor.dtype for tensor in tensors.values() if tensor.ndim == 2} == {torch.uint8, torch.float16}
    for name, parameter in classifier.load(source).named_parameters():
        if parameter.ndim == 2:
            module = name.removesuffix(".weight")
            size = sum(tensors[f"{module}.{part}"].nbytes for part in ("values", "steps"))
            assert size == parameter.shape[0] * (-(-parameter.shape[1] // 16) * 16) * (0.5 + 2 / 16)
