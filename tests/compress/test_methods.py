"""Every compressor on every architecture, and each against its definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.compress import files
from stages.compress.methods import COMPRESSORS
from stages.compress.methods.int8_dynamic import STEPS, Int8Dynamic, quantize
from stages.model import classifier, imported
from tests.model import checkpoints, test_classifier, test_imported
from tests.model.checkpoints import batch

CAUSAL = {"encoder": False, "decoder": True}
TRANSPOSED = ("c_attn.weight", "c_fc.weight", "c_proj.weight")
"""Matrices that GPT-2 has in a module of its own, (inputs, outputs)."""


@pytest.fixture(params=[*CAUSAL, *checkpoints.KINDS])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A saved 32-dim classifier."""
    if request.param in CAUSAL:
        return test_classifier.save(tmp_path, CAUSAL[request.param])
    folder = checkpoints.save(tmp_path / request.param, request.param)
    classifier.save(tmp_path / "model", test_imported.classify(imported.load(folder)), folder)
    return tmp_path / "model"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_the_grid_runs(name: str, saved: Path, tmp_path: Path) -> None:
    """Smaller on disk, nearly the same answers, the same files for the same model, and it loads again."""
    kind = COMPRESSORS[name]
    for folder in ("a", "b"):
        files.save(tmp_path / folder, name, kind(kind.Options()), saved)
    weights = [tmp_path / folder / files.files.WEIGHTS for folder in "ab"]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert weights[0].stat().st_size < (saved / files.files.WEIGHTS).stat().st_size
    assert (tmp_path / "a" / "tokenizer.json").exists()
    with torch.no_grad():
        original, small = (model(*batch()) for model in (classifier.load(saved), files.load(tmp_path / "a")))
        again = files.load(tmp_path / "a")(*batch())
    assert torch.equal(small, again)
    assert not torch.equal(small, original)
    assert (small - original).abs().max() < 0.1 * original.abs().max() + 0.05


def test_int8_weights_are_within_half_a_step() -> None:
    """And the largest of each row is the last step; a row of zeros stays one."""
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    values, scale = quantize(weight)
    assert values.dtype == torch.int8
    assert ((values * scale[:, None] - weight).abs() <= scale[:, None] / 2 + 1e-7).all()
    largest = values.abs().amax(1)
    assert (largest[torch.arange(40) != 3] == STEPS).all()
    assert largest[3] == 0


def test_int8_quantizes_every_matrix(saved: Path) -> None:
    """Four bytes a weight become one: nothing of two dimensions is left in fp32, but for what no kernel here reads."""
    model = classifier.load(saved)
    tensors = Int8Dynamic(Int8Dynamic.Options()).tensors(model)
    for name, parameter in model.named_parameters():
        expected = torch.int8 if parameter.ndim == 2 and not name.endswith(TRANSPOSED) else torch.float32
        assert tensors[name].dtype == expected
