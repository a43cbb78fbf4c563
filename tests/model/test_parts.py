"""Layers and maps by name; which maps write to the residual stream: tests/finetune/methods/test_adapter.py."""

from __future__ import annotations

import pytest
from torch import nn

from stages.errors import StageError
from stages.model.imported import Imported
from stages.model.parts import linear_maps, parts
from tests.finetune.made import backbone
from tests.model import checkpoints


@pytest.mark.parametrize("kind", [*checkpoints.KINDS, "encoder", "decoder"])
def test_layers_hold_all_that_is_no_embedding(kind: str) -> None:
    """Two of them, in order; every matrix outside is one of embeddings, every linear map inside is found."""
    body = Imported(checkpoints.model(kind)) if kind in checkpoints.KINDS else backbone(kind)
    found = parts(body)
    assert [name.rpartition(".")[2] for name in found.layers] == ["0", "1"]
    outside = {
        name: p for name, p in body.named_parameters() if not name.startswith(tuple(f"{x}." for x in found.layers))
    }
    assert all("emb" in name or ".wte." in name or ".wpe." in name for name, p in outside.items() if p.ndim == 2)
    inside = [m for layer in found.layers for m in body.get_submodule(layer).modules()]
    matrices = [m for m in inside if getattr(m, "weight", None) is not None and m.weight.ndim == 2]
    assert len(linear_maps(body)) == len([m for m in matrices if not isinstance(m, nn.Embedding)])


def test_an_architecture_without_a_list_of_layers_is_named() -> None:
    """ALBERT has one layer, which it runs as often as it says."""
    from transformers import AlbertConfig, AlbertModel

    with pytest.raises(StageError, match=r"AlbertModel has no list of 2 layers.*finetune\.methods"):
        parts(Imported(AlbertModel(AlbertConfig(vocab_size=60, **checkpoints.SIZES))))
