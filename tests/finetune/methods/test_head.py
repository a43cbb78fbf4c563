"""The head as transformers draws it: the same model, trained by the same steps, is what its own class makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages import artifacts, paths
from stages.finetune import files
from stages.finetune.methods import METHODS
from stages.finetune.methods.base import Job, Method
from stages.finetune.methods.gradient import HEAD_STD, Gradient
from stages.finetune.workload import Finetuning
from stages.model import backbone
from stages.model.classifier import Classifier
from stages.model.dropout import Dropout
from stages.model.imported import Imported
from stages.training import loop
from tests.finetune.made import LENGTH, TASK, VOCABULARY, job
from tests.finetune.methods.made import method, pretrained
from tests.model import checkpoints
from tests.training.toy import Silent

GRADIENT = [name for name, kind in METHODS.items() if issubclass(kind, Gradient)]


def drawn(name: str = "full", **changes: Any) -> Method:
    """With the head of transformers, one epoch."""
    return method(name, head="drawn", epochs=1, **changes)


def first(folder: Path, **changes: Any) -> Job:
    """The made task, read by first tokens; short enough for virtual tokens before them."""
    given = job(folder)
    for part in (given.train, given.validation):
        part._max_length, part.lengths = LENGTH - 2, part.lengths.clip(max=LENGTH - 2)
    return replace(given, pooling="first", max_length=LENGTH - 2, **changes)


def untrained(body: Any, given: Job) -> Classifier:
    """The classifier that tuning begins with."""
    still = drawn(learning_rate=1e-12, imported_learning_rate=1e-12)
    model = still.fit(body, given).model
    assert isinstance(model, Classifier)
    return model


def theirs(folder: Path, model: Classifier) -> nn.Module:
    """Transformers' own class on the same checkpoint, with our head."""
    from transformers import AutoModelForSequenceClassification

    made = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(TASK.labels))
    made.classifier.load_state_dict(model.classifier.state_dict())
    return made.eval()


def test_steps_are_those_of_transformers_own_class(tmp_path: Path) -> None:
    """Logits, and after three steps of AdamW each weight, the pooler's too."""
    folder, given = pretrained(tmp_path / "bert", "imported"), first(tmp_path)
    ours = untrained(backbone.load(folder), given)
    reference = theirs(folder, ours)
    rule = drawn(weight_decay=0.0, learning_rate=1e-3, imported_learning_rate=1e-3)
    workload = Finetuning(ours, given, rule._regime(ours))
    stepped = rule.optimizers(ours, 1e-3, 3)
    steps = torch.optim.AdamW(reference.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(3):
        batch = given.train.batch(workload._places(step))
        expected = reference(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels)
        loss = workload.loss(step).value
        torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)
        loss.backward()
        expected.loss.backward()
        stepped.step(1.0)
        steps.step()
        steps.zero_grad()
    assert isinstance(ours.pooler, nn.Module)
    pairs = [(ours.pooler, reference.bert.pooler), (ours.classifier, reference.classifier)]
    assert isinstance(ours.transformer, Imported)
    pairs.append((ours.transformer.model.encoder, reference.bert.encoder))
    for found, other in pairs:
        for name, value in found.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", ["albert", "big_bird"])
def test_a_pooler_in_two_parts_is_one(kind: str, tmp_path: Path) -> None:
    """ALBERT and BigBird give the same logits as their own classes."""
    import transformers

    sizes = {**checkpoints.SIZES, "embedding_size": 16, "attention_type": "original_full"}
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(tmp_path / kind)
    model = untrained(backbone.load(tmp_path / kind), given := first(tmp_path))
    batch = given.train.batch(torch.arange(6).numpy())
    with torch.no_grad():
        found = model.features(batch.input_ids, batch.attention_mask, torch.float32)
        stock = transformers.AutoModel.from_pretrained(tmp_path / kind).eval()
        expected = stock(input_ids=batch.input_ids, attention_mask=batch.attention_mask).pooler_output
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["encoder", "decoder", "imported"])
def test_the_head_is_drawn(architecture: str, tmp_path: Path) -> None:
    """N(0, 0.02²) and no bias, the same of a seed and another of another; it reads the last state as it is."""
    folder = pretrained(tmp_path / "base", architecture)
    heads = [
        untrained(backbone.load(folder), replace(first(tmp_path / str(turn)), seed=seed))
        for turn, seed in enumerate((0, 0, 1))
    ]
    weights = [model.classifier.weight.detach() for model in heads]
    torch.testing.assert_close(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2], atol=1e-3)
    assert torch.cat(weights[1:]).std().item() == pytest.approx(HEAD_STD, rel=0.25)
    assert heads[0].classifier.bias.abs().max() < 1e-6
    assert heads[0].config.depths == (max(heads[0].transformer.depths),)
    assert heads[0].config.finish == ("pooler" if architecture == "imported" else "none")


def test_without_a_pooler_the_state_itself_is_read(tmp_path: Path) -> None:
    """A masked language model's checkpoint has none; nor is one read by anything but the first token."""
    checkpoints.save(tmp_path / "bert", "bert", vocab_size=VOCABULARY, purpose="AutoModelForMaskedLM")
    given = first(tmp_path)
    assert untrained(backbone.load(tmp_path / "bert"), given).config.finish == "none"
    whole = pretrained(tmp_path / "whole", "imported")
    mean = untrained(backbone.load(whole), replace(given, pooling="mean"))
    assert (mean.config.finish, mean.pooler) == ("none", None)
    batch = given.train.batch(torch.arange(6).numpy())
    with torch.no_grad():
        features = mean.features(batch.input_ids, batch.attention_mask, torch.float32)
        states = mean.transformer(batch.input_ids, batch.attention_mask, torch.float32, 2)[-1]
    for row, mask, state in zip(features, batch.attention_mask.bool(), states, strict=True):
        torch.testing.assert_close(row, state[mask].mean(0), atol=1e-5, rtol=1e-5)


def test_what_the_head_reads_is_dropped_out(tmp_path: Path) -> None:
    """At the rate that is given, scaled up, before the linear layer alone; not in evaluation."""
    model = untrained(backbone.load(pretrained(tmp_path / "bert", "imported")), given := first(tmp_path))
    batch, seen = given.train.batch(torch.arange(100).numpy()), []
    model.classifier.register_forward_pre_hook(lambda _, read: seen.append(read[0].detach()))
    features = torch.ones(100, 32)
    model.features = lambda *_: features  # type: ignore[method-assign]
    model(batch.input_ids, batch.attention_mask, dropout=Dropout(0.3, torch.Generator().manual_seed(0)))
    model(batch.input_ids, batch.attention_mask)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    torch.testing.assert_close(seen[0][seen[0] != 0].unique(), torch.tensor([1 / 0.7]))
    assert torch.equal(seen[1], features)


@pytest.mark.parametrize("name", GRADIENT)
def test_killed_saved_and_loaded_it_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, with dropout, for every method; the pooler is part of the head, trained and written with it."""
    monkeypatch.setattr(paths, "MODELS", tmp_path / "models")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(paths, "ROOT", tmp_path)  # an edit of the code meanwhile would start the run anew
    base, tuner = pretrained(paths.pretrained("made", 0), "imported"), drawn(name, dropout=0.1)
    folders = []
    for kill in (False, True):
        given = first(tmp_path / f"killed-{kill}")
        if kill:
            with pytest.raises(KeyboardInterrupt):
                tuner.fit(backbone.load(base), replace(given, observer=Silent(stop_after=7)))
        tuned = tuner.fit(backbone.load(base), given)
        folders.append(tmp_path / "models" / f"tuned-{kill}")
        files.save(folders[-1], tuned, name, tuner, base)
    assert artifacts.md5(folders[0]) == artifacts.md5(folders[1])
    loaded, batch = files.load(folders[1]), given.validation.batch(torch.arange(20).numpy())
    assert isinstance(loaded, Classifier)
    assert not torch.equal(loaded.pooler.dense.weight, backbone.load(base).pooler.dense.weight)  # type: ignore[union-attr]
    with torch.no_grad():
        outputs: list[Tensor] = [
            model(batch.input_ids, batch.attention_mask, torch.float32) for model in (loaded, tuned.model)
        ]
    assert torch.equal(*outputs)
