"""Rates by depth."""

from __future__ import annotations

import pytest

from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.imported import Imported
from tests.finetune.made import LENGTH, TASK, backbone
from tests.finetune.methods.made import method
from tests.model import checkpoints

DEPTHS = {
    "encoder": {"classifier": 3, "final_norm": 3, "layers.1": 2, "layers.0": 1, "embeddings": 0},
    "imported": {"classifier": 3, "encoder.layer.1": 2, "encoder.layer.0": 1, "embeddings": 0},
    "gpt2": {"classifier": 3, "ln_f": 3, "h.1": 2, "h.0": 1, "wte": 0, "wpe": 0},
    "t5": {"classifier": 3, "final_layer_norm": 3, "block.1": 2, "block.0": 1, "embed_tokens": 0},
}


@pytest.mark.parametrize("kind", DEPTHS)
def test_each_layer_has_the_rate_of_the_formula(kind: str) -> None:
    """η · ξ^(n + 1 − depth), with the embeddings at depth 0 and the head at n + 1; every parameter has one."""
    body = Imported(checkpoints.model(kind)) if kind in checkpoints.KINDS else backbone(kind)
    model = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH))
    optimizers = method("layerwise_decay", layer_decay=0.5).optimizers(model, 0.1, 10)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizers.groups() for p in group["params"]}
    assert set(rates) == set(names.values())
    for name, rate in rates.items():
        depth = next(
            depth
            for start, depth in DEPTHS[kind].items()
            if name.removeprefix("transformer.").removeprefix("model.").startswith(start)
        )
        assert rate == pytest.approx(0.1 * 0.5 ** (3 - depth)), name
