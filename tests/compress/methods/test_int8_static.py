"""Static ranges: what they are, where they come from, and integers against plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.compress import files
from stages.compress.base import Material
from stages.compress.inputs import BATCH
from stages.compress.methods.int8_static import Range, StaticLinear, affine
from stages.errors import StageError
from stages.finetune.examples import Examples
from stages.model import classifier
from tests.compress.conftest import save
from tests.compress.made import compress, material


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save(tmp_path / "encoder", "encoder")


def static(folder: Path) -> dict[str, StaticLinear]:
    model = files.load(folder)
    return {name: part for name, part in model.named_modules() if isinstance(part, StaticLinear)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", [Range(-1.0, 3.0), Range(0.5, 2.0), Range(-4.0, -1.0), Range(0.0, 0.0)])
def test_a_range_is_put_onto_all_of_int8(found: Range) -> None:
    """Zero is a value of its own, for padding; both ends are within half a step."""
    step, zero = affine(found)
    for value in (min(found.low, 0.0), 0.0, max(found.high, 0.0)):
        level = min(max(round(value / step) + zero, -128), 127)
        assert abs((level - zero) * step - value) <= (0 if value == 0 else step * 0.51)


def test_products_are_those_of_the_rounded_numbers() -> None:
    """Inputs outside of the range are cut off."""
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(24, 7)
    for parameter in linear.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    inputs = torch.randn(2, 5, 24, generator=generator) * 2
    module = StaticLinear(linear, Range(-1.5, 2.5))
    step, zero = affine(Range(-1.5, 2.5))
    cut = torch.fake_quantize_per_tensor_affine(inputs, step, zero, -128, 127)
    expected = cut @ (module.weight.float() * module.scale[:, None]).T + linear.bias
    torch.testing.assert_close(module(inputs), expected.detach(), atol=1e-4, rtol=1e-4)
    assert cut.max() < inputs.max()


def given(encoder: Path, names: Iterable[str], data: Material) -> dict[str, list[torch.Tensor]]:
    """Of each map the numbers that it is given at real tokens, batch by batch."""
    original, seen = classifier.load(encoder), {}
    for name in names:
        original.get_submodule(name).register_forward_pre_hook(
            lambda _, x, name=name: seen.setdefault(name, []).append(x[0])
        )
    masks = []
    with torch.no_grad():
        for batch in data.batches(60, BATCH):
            original(batch.input_ids, batch.attention_mask)
            masks.append(batch.attention_mask.bool())
    return {
        name: [(x[real] if x.ndim == 3 else x).flatten() for x, real in zip(batches, masks, strict=True)]
        for name, batches in seen.items()
    }


def test_ranges_are_those_of_the_training_texts(encoder: Path, tmp_path: Path) -> None:
    """From the least to the greatest number that a map is given at real tokens."""
    data = material(tmp_path / "small-material", encoder)
    compress(tmp_path / "small", encoder, "int8_static", data=data)
    found = static(tmp_path / "small")
    for name, batches in given(encoder, found, data).items():
        step, zero = affine(Range(float(torch.cat(batches).min()), float(torch.cat(batches).max())))
        module = found[name]
        assert (float(module.step), int(module.zero)) == (pytest.approx(step, rel=1e-4), pytest.approx(zero, abs=1))


def test_other_validation_texts_change_nothing(encoder: Path, tmp_path: Path) -> None:
    """Other training texts do."""
    data = material(tmp_path / "material", encoder)
    others = material(tmp_path / "others", encoder, count=40)
    for name, changes in {
        "a": {},
        "validation": {"validation": others.validation},
        "train": {"train": others.train},
    }.items():
        compress(tmp_path / name, encoder, "int8_static", data=material(tmp_path / f"m-{name}", encoder, **changes))
    steps = {
        name: [float(one.step) for one in static(tmp_path / name).values()] for name in ("a", "validation", "train")
    }
    assert steps["a"] == steps["validation"] != steps["train"]
    assert len(data.validation)


def test_quantiles_cut_off_what_is_rare(encoder: Path, tmp_path: Path) -> None:
    compress(tmp_path / "all", encoder, "int8_static")
    data = material(tmp_path / "most-material", encoder)
    compress(tmp_path / "most", encoder, ("int8_static", {"range": "percentile", "percentile": 0.9}), data=data)
    whole, most = static(tmp_path / "all"), static(tmp_path / "most")
    assert all(most[name].step < whole[name].step for name in whole)
    for name, batches in given(encoder, most, data).items():
        low, high = (np.mean([torch.quantile(x, share) for x in batches]) for share in (0.1, 0.9))
        assert float(most[name].step) == pytest.approx(affine(Range(low, high))[0], rel=0.03)


def test_without_texts_there_are_no_ranges(encoder: Path, tmp_path: Path) -> None:
    data = material(tmp_path / "material", encoder)
    none = Examples(data.train._store, np.arange(0), 16, 0)
    with pytest.raises(StageError, match=r"params\.yaml: finetune\.max_train_examples: no training examples"):
        compress(tmp_path / "small", encoder, "int8_static", data=material(tmp_path / "m", encoder, train=none))
