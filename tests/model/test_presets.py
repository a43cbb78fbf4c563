"""Sizes by name, against what their sources give."""

from __future__ import annotations

import pytest
import torch

from stages import params
from stages.errors import StageError
from stages.model import presets
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel

BODY = {"nano": 0.23e6, "tiny": 0.85e6, "mini": 3.1e6, "small": 12.5e6, "base": 85e6}
"""Parameters besides embeddings."""


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_a_preset_has_the_parameters_that_it_says(preset: str) -> None:
    """Counted on the model itself, without embeddings and head; base is BERT-base's 110 M with its vocabulary."""
    with torch.device("meta"):
        model = LanguageModel(TransformerConfig(30_522, **presets.sizes(preset)))
    layers = sum(parameter.numel() for parameter in model.model.layers.parameters())
    assert layers == pytest.approx(BODY[preset], rel=0.03)
    if preset == "base":
        assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(110e6, rel=0.01)


def test_a_size_beside_a_preset_replaces_its_own() -> None:
    model = params.Model(preset="tiny", num_hidden_layers=7)
    assert model.sizes() == {**presets.sizes("tiny"), "num_hidden_layers": 7}


@pytest.mark.parametrize(
    ("content", "message"),
    [({"preset": "huge"}, r"preset: .*'base'"), ({"hidden_size": 32}, "num_hidden_layers: Field required")],
)
def test_errors_name_the_key(content: dict[str, object], message: str) -> None:
    with pytest.raises(StageError, match=message):
        params.parse(params.Model, content, "params.yaml: model")
