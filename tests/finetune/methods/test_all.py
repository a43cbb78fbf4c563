"""Every method that trains, on every architecture: it learns, trains what it says, is saved, loaded, resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stages import artifacts, paths
from stages.errors import StageError
from stages.finetune import files, methods
from stages.finetune.methods.base import Tuned
from stages.finetune.predict import scores
from stages.model import backbone, classifier
from stages.model.classifier import Classifier
from stages.training import loop
from tests.finetune.made import ARCHITECTURES, CLASSES, SCORES, examples, job
from tests.finetune.methods.made import OPTIONS, method, pretrained, shortened
from tests.training.toy import Silent

WHOLE = {"frozen", "full", "layerwise_decay"}
"""Those that write all weights."""

MERGED = {"top_k", "bitfit", "lora", "adalora", "ia3"}
"""Those whose result is weights of the model's own."""


@dataclass(frozen=True)
class Case:
    """A method that tuned a model, and where all of it lies."""

    name: str
    architecture: str
    base: Path
    tuned: Tuned
    saved: Path


@pytest.fixture(scope="module", params=[(name, kind) for name in OPTIONS for kind in ARCHITECTURES], ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    name, architecture = request.param
    folder = tmp_path_factory.mktemp(f"{name}-{architecture}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "MODELS", folder / "models")
        base = pretrained(paths.pretrained("made", 0), architecture)
        chosen = method(name)
        tuned = chosen.fit(backbone.load(base), shortened(folder, name))
        saved = folder / "models" / "finetuned" / "made"
        files.save(saved, tuned, name, chosen, base)
        yield Case(name, architecture, base, tuned, saved)


def logits(model: Classifier, folder: Path) -> Tensor:
    """Of 40 texts, as short as the model reads them."""
    test = examples(folder / "some", 40, 3)
    batch = test.batch(test.lengths.argsort())
    length = model.config.max_length
    with torch.no_grad():
        return model(batch.input_ids[:, :length], batch.attention_mask[:, :length])


def test_it_learns_a_made_task(case: Case, tmp_path: Path) -> None:
    """Better from epoch to epoch, and in the end most held-out texts are told right; the best on validation is kept."""
    data = shortened(tmp_path, case.name).validation
    found = CLASSES.figures(data.labels, scores(case.tuned.model, CLASSES, data, torch.float32))["accuracy"]
    assert found > 0.85
    if case.name != "frozen":
        assert case.tuned.curve[-1]["train_loss"] < case.tuned.curve[0]["train_loss"]
    assert found == pytest.approx(max(row["score"] for row in case.tuned.curve), abs=0.011)


def test_only_what_it_says_is_trained_changes(case: Case) -> None:
    """Bit for bit; and all of that does."""
    before = dict(backbone.load(case.base).named_parameters())
    if case.name in WHOLE - {"frozen"}:
        backbone_before = backbone.load(case.base)
        backbone_before.shrink_embeddings()
        before = dict(backbone_before.named_parameters())
    added = changed = 0
    for name, parameter in case.tuned.model.transformer.named_parameters():
        original = before.get(name.removeprefix("base.").replace(".base_layer", "").replace(".attn.base.", ".attn."))
        if original is None:
            added += parameter.numel() if parameter.requires_grad else 0
        elif torch.equal(original, parameter):
            assert not parameter.requires_grad or case.name in WHOLE or "lora" in name, name
        else:
            assert case.name not in ("frozen", "lora", "adalora", "ia3", "adapter", "prompt", "p_tuning", "prefix"), (
                name
            )
            changed += parameter.numel()
    head = sum(parameter.numel() for parameter in case.tuned.model.classifier.parameters())
    expected = head + added + changed
    assert case.tuned.trainable_parameters == expected


def test_saved_alone_and_loaded_it_says_the_same(case: Case, tmp_path: Path) -> None:
    """A part of the weights is written without the rest, to the byte the same each time."""
    written = {file.name for file in case.saved.iterdir()}
    expected = {"model.safetensors"} if case.name in WHOLE else {"adapter.safetensors", "adapter.json"}
    assert written == {"classifier.json", "config.json", "tokenizer.json", *expected}
    tensors = classifier.files.load_weights(case.saved / min(expected - {"adapter.json"}))
    if case.name not in WHOLE:
        assert sum(tensor.numel() for tensor in tensors.values()) == case.tuned.trainable_parameters
    assert files.size(case.saved) == sum(file.stat().st_size for file in case.saved.glob("*.safetensors"))
    loaded = files.load(case.saved)
    assert torch.equal(logits(loaded, tmp_path), logits(case.tuned.model, tmp_path / "before"))


def test_selected_it_stands_alone(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no pre-trained model beside it; where it can be, as plain weights that need nothing of the method."""
    (alone := tmp_path / "alone").mkdir()
    files.stand_alone(case.saved, alone)
    monkeypatch.setattr(paths, "MODELS", tmp_path / "nothing")
    loaded = classifier.load(alone) if case.name in WHOLE | MERGED else files.load(alone)
    assert (alone / "adapter.json").exists() is (case.name not in WHOLE | MERGED)
    torch.testing.assert_close(
        logits(loaded, tmp_path), logits(case.tuned.model, tmp_path / "before"), atol=1e-5, rtol=1e-5
    )


def test_killed_and_resumed_it_is_the_same(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte; the second half of the run starts where the first was stopped."""
    if case.name == "frozen":
        return
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(paths, "ROOT", tmp_path)  # an edit of the code meanwhile would start the run anew
    with pytest.raises(KeyboardInterrupt):
        method(case.name).fit(backbone.load(case.base), shortened(tmp_path, case.name, Silent(stop_after=20)))
    second = Silent()
    again = method(case.name).fit(backbone.load(case.base), shortened(tmp_path, case.name, second))
    assert second.first == 20
    assert again.curve == case.tuned.curve
    files.save(tmp_path / "again", again, case.name, method(case.name), case.base)
    assert artifacts.md5(tmp_path / "again") == artifacts.md5(case.saved)


def test_an_adapter_of_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pre-trained model was trained anew since."""
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    base = pretrained(paths.pretrained("made", 0), "encoder")
    model, chosen = backbone.load(base), method("bitfit", epochs=1)
    files.save(tmp_path / "saved", chosen.fit(model, job(tmp_path)), "bitfit", chosen, base)
    pretrained(tmp_path / "other", "decoder")
    (tmp_path / "other" / "model.safetensors").rename(base / "model.safetensors")
    with pytest.raises(StageError, match=r"adapter\.safetensors was made for other weights .*dvc repro"):
        files.load(tmp_path / "saved")


@pytest.mark.parametrize("name", ["frozen", "full", "lora"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_learns_made_scores(name: str, architecture: str, tmp_path: Path) -> None:
    """Far better than by chance; the epoch or depth that is kept is the best one on validation."""
    base = pretrained(tmp_path / "base", architecture)
    tuned = method(name).fit(backbone.load(base), job(tmp_path, family=SCORES))
    test = examples(tmp_path / "test", 200, 3, scored=True)
    found = SCORES.figures(test.labels, scores(tuned.model, SCORES, test, torch.float32))
    assert found["score"] == found["pearson"] > 0.8
    validation = examples(tmp_path / "again", 100, 2, scored=True)
    kept = SCORES.figures(validation.labels, scores(tuned.model, SCORES, validation, torch.float32))["score"]
    assert kept == pytest.approx(max(row["score"] for row in tuned.curve), abs=1e-4)


def test_an_unknown_method_is_named() -> None:
    """With those that there are."""
    with pytest.raises(StageError, match=r"finetune\.methods.*'lore'.*frozen"):
        methods.get("lore")
