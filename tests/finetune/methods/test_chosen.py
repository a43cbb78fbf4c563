"""What top_k and bitfit leave to be trained."""

from __future__ import annotations

import pytest

from stages.errors import StageError
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.imported import Imported
from tests.finetune.made import LENGTH, TASK, backbone
from tests.finetune.methods.made import method
from tests.model import checkpoints


def trained(name: str, kind: str, **changes: int) -> set[str]:
    """Names of parameters."""
    body = Imported(checkpoints.model(kind)) if kind in checkpoints.KINDS else backbone(kind)
    model = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH))
    method(name, **changes).prepare(model)
    return {
        key.removeprefix("transformer.").removeprefix("model.")
        for key, p in model.named_parameters()
        if p.requires_grad
    }


@pytest.mark.parametrize(
    ("kind", "above"),
    [
        ("encoder", {"final_norm.weight"}),
        ("decoder", {"final_norm.weight"}),
        ("imported", set()),
        ("t5", {"final_layer_norm.weight"}),
    ],
)
def test_top_k_is_the_last_layers_and_what_follows(kind: str, above: set[str]) -> None:
    head = {"classifier.weight", "classifier.bias"}
    last, all_layers = trained("top_k", kind, k=1) - head - above, trained("top_k", kind, k=2) - head - above
    assert above | head <= trained("top_k", kind, k=1)
    parts = {"encoder": "layers", "decoder": "layers", "imported": "encoder.layer", "t5": "block"}
    assert all(name.startswith(f"{parts[kind]}.1.") for name in last)
    assert {
        name.replace(f"{parts[kind]}.1.", f"{parts[kind]}.0.") for name in last if "attn_norm" not in name
    } <= all_layers
    assert len(last) >= 5


def test_more_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(StageError, match=r"methods\.top_k\.k is 3, .* only 2 layers"):
        trained("top_k", "encoder", k=3)


@pytest.mark.parametrize("kind", ["imported", "gpt2", "encoder", "t5"])
def test_bitfit_is_all_biases_or_else_all_gains(kind: str) -> None:
    """BERT and GPT-2 have biases; our block and T5 have none."""
    found = trained("bitfit", kind) - {"classifier.weight", "classifier.bias"}
    body = Imported(checkpoints.model(kind)) if kind in checkpoints.KINDS else backbone(kind)
    names = {name.removeprefix("model."): parameter for name, parameter in body.named_parameters()}
    biases = {name for name in names if name.endswith("bias")}
    gains = {name for name, parameter in names.items() if parameter.ndim == 1}
    assert found == (biases or gains)
    assert found
    assert bool(biases) is (kind in ("imported", "gpt2"))
