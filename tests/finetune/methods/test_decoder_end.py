"""Both stacks of an encoder–decoder, read at the decoder's end: all methods tune them, and saved they say the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stages import paths
from stages.errors import Inapplicable
from stages.finetune import files
from stages.finetune.methods import METHODS
from stages.finetune.methods.frozen import Frozen
from stages.finetune.methods.gradient import Gradient
from stages.model import backbone, classifier
from stages.model import files as model_files
from stages.model.classifier import Classifier
from stages.model.config import TransformerConfig
from stages.model.parts import parts
from tests.finetune.made import VOCABULARY
from tests.finetune.methods.made import method, shortened
from tests.model import checkpoints
from tests.model.test_encoder_decoder import made

TUNING = [name for name, kind in METHODS.items() if issubclass(kind, Gradient | Frozen)]


def pretrained(folder: Path, kind: str) -> Path:
    """Encoders of 2 and decoders of 3 layers."""
    if kind == "ours":
        model_files.save(folder, made(TransformerConfig(VOCABULARY, 32, 2, 2, 48, num_decoder_layers=3)))
        (folder / "tokenizer.json").write_text("{}")
        return folder
    return checkpoints.save(folder, "t5", vocab_size=VOCABULARY, num_decoder_layers=3, decoder_start_token_id=0)


@pytest.mark.parametrize("kind", ["ours", "t5"])
@pytest.mark.parametrize("name", TUNING)
def test_it_is_tuned_saved_and_loaded(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded, and alone without the pre-trained model beside it, it says what it said; and it has learnt something."""
    monkeypatch.setattr(paths, "MODELS", tmp_path / "models")
    base, given = pretrained(paths.pretrained("made", 0), kind), replace(shortened(tmp_path, name), pooling="last")
    tuner = method(name) if name == "frozen" else method(name, epochs=2, learning_rate=3e-3)
    if kind == "t5" and tuner.virtual_tokens:
        with pytest.raises(Inapplicable, match=r"finetune\.pooling"):
            tuner.fit(backbone.load(base, "last"), given)
        return
    tuned = tuner.fit(backbone.load(base, "last"), given)
    files.save(saved := tmp_path / "models" / "tuned", tuned, name, tuner, base)
    (alone := tmp_path / "alone").mkdir()
    files.stand_alone(saved, alone)
    batch = given.validation.batch(torch.arange(30).numpy())
    with torch.no_grad():
        outputs = [
            model(batch.input_ids, batch.attention_mask, torch.float32)
            for model in (tuned.model, files.load(saved), files.load(alone))
        ]
    assert classifier.load_config(saved).pooling == "last"
    assert torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2], atol=1e-5, rtol=1e-5)
    assert max(row["score"] for row in tuned.curve) > 0.6


@pytest.mark.parametrize("kind", ["ours", "t5"])
def test_layers_are_the_encoders_then_the_decoders(kind: str, tmp_path: Path) -> None:
    """So that the last ones are the decoder's, and rates fall from there to the first of the encoder."""
    body = backbone.load(pretrained(tmp_path / kind, kind), "last")
    names = {"ours": ("encoder.layers", "layers"), "t5": ("model.encoder.block", "model.decoder.block")}
    encoder, decoder = names[kind]
    expected = [f"{encoder}.{index}" for index in range(2)] + [f"{decoder}.{index}" for index in range(3)]
    assert list(parts(body).layers) == expected
    model = Classifier(body, classifier.ClassifierConfig(("a", "b"), (4,), 20, "last"))
    method("top_k", k=3).prepare(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad and not name.startswith("classifier.")}
    final = parts(body).final
    assert {name.removeprefix("transformer.") for name in trained} == {
        name for name, _ in body.named_parameters() if name.startswith((f"{decoder}.", *final))
    }
