"""Bottlenecks: where they are, what they compute, and that they begin as nearly nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from stages.finetune.methods.adapter import Adapted
from stages.model.imported import Imported
from stages.model.parts import maps
from tests.finetune.made import VOCABULARY
from tests.finetune.methods.made import classifier_on, method, pretrained
from tests.model import checkpoints

PLACES = {
    "encoder": ("layers.{}.attn.Wo", "layers.{}.mlp.Wo"),
    "imported": ("model.encoder.layer.{}.attention.output.dense", "model.encoder.layer.{}.output.dense"),
}
WRITERS = {
    "bert": ("attention.output.dense", "output.dense"),
    "roberta": ("attention.output.dense", "output.dense"),
    "distilbert": ("attention.out_lin", "ffn.lin2"),
    "deberta-v2": ("attention.output.dense", "output.dense"),
    "t5": ("layer.0.SelfAttention.o", "layer.1.DenseReluDense.wo"),
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
}


@pytest.mark.parametrize("architecture", PLACES)
@pytest.mark.parametrize(("placement", "kept"), [("houlsby", slice(None)), ("pfeiffer", slice(1, None))])
def test_they_are_where_each_paper_puts_them(placement: str, kept: slice, architecture: str, tmp_path: Path) -> None:
    model = classifier_on(pretrained(tmp_path / "base", architecture))
    method("adapter", placement=placement).attach(model, 0)
    found = [name for name, module in model.transformer.named_modules() if isinstance(module, Adapted)]
    assert sorted(found) == sorted(place.format(index) for index in range(2) for place in PLACES[architecture][kept])


@pytest.mark.parametrize("kind", WRITERS)
def test_what_writes_to_the_residual_stream_is_found(kind: str) -> None:
    for index, layer in enumerate(maps(Imported(checkpoints.model(kind)))):
        for name, expected in zip((layer.attention, layer.feedforward), WRITERS[kind], strict=True):
            assert name.endswith(f".{index}.{expected}")


@pytest.mark.parametrize("architecture", PLACES)
def test_a_bottleneck_adds_to_what_is_written(architecture: str, tmp_path: Path) -> None:
    """y + W₂ gelu(W₁ y + b₁) + b₂, in the type of y."""
    model = classifier_on(pretrained(tmp_path / "base", architecture))
    method("adapter").attach(model, 0)
    adapted = model.transformer.get_submodule(PLACES[architecture][0].format(0))
    for parameter in adapted.bottleneck.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(0))
    x = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    written = adapted.base_layer(x)
    down, _, up = adapted.bottleneck
    expected = written + F.gelu(written @ down.weight.T + down.bias) @ up.weight.T + up.bias
    torch.testing.assert_close(adapted(x), expected)
    if architecture == "encoder":
        rounded = adapted(x.bfloat16())
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.float(), expected, atol=0.1, rtol=0.05)


def test_they_begin_as_nearly_nothing(tmp_path: Path) -> None:
    """Not as nothing: both matrices are drawn, from the seed."""
    base = pretrained(tmp_path / "base", "encoder")
    models = [classifier_on(base) for _ in range(4)]
    for model, seed in zip(models[1:], (0, 0, 1), strict=True):
        method("adapter").attach(model, seed)
    with torch.no_grad():
        plain, *found = (model(*checkpoints.batch(VOCABULARY)) for model in models)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert 0 < (found[0] - plain).abs().max() < 0.02 * plain.abs().max()
