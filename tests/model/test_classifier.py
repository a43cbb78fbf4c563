"""Pooling and the classifier's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.model import classifier, files
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.model.test_transformer import batch, made


def classify(causal: bool) -> Classifier:
    """A classifier over all depths with a head that is not zero."""
    transformer = made(causal).model
    model = Classifier(transformer, ClassifierConfig(("no", "yes", "maybe"), tuple(transformer.depths), 64))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("causal", [False, True])
def test_logits_are_computed_where_the_transformer_is(causal: bool) -> None:
    """The batch stays on the CPU; the head is made on the transformer's device."""
    transformer = made(causal).model.to("meta")
    model = Classifier(transformer, ClassifierConfig(("no", "yes"), tuple(transformer.depths), 64))
    assert model(*batch()).device.type == "meta"


@pytest.mark.parametrize("causal", [False, True])
def test_the_side_of_padding_does_not_matter(causal: bool) -> None:
    """Rotary scores depend on distance alone, so a text may stand anywhere in its row."""
    model, (input_ids, attention_mask) = classify(causal), batch()
    rows = zip(input_ids, attention_mask, strict=True)
    left = torch.stack([torch.roll(row, 20 - int(mask.sum())) for row, mask in rows])
    left_mask = attention_mask.flip(1)
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids, attention_mask), model(left, left_mask), atol=1e-4, rtol=1e-4)


def save(folder: Path, causal: bool) -> Path:
    """A saved classifier, and in ``pretrained`` beside it what it stands on."""
    tokenizer, pretrained = folder / "tokenizer", folder / "pretrained"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    files.save(pretrained, made(causal), tokenizer)
    classifier.save(folder / "model", classify(causal), pretrained)
    return folder / "model"


@pytest.mark.parametrize("causal", [False, True])
def test_files_round_trip(causal: bool, tmp_path: Path) -> None:
    """The loaded model gives the same logits; its configuration and tokenizer are those of the pre-trained one."""
    folder, model, (input_ids, attention_mask) = save(tmp_path, causal), classify(causal), batch()
    loaded = classifier.load(folder)
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(input_ids, attention_mask), model(input_ids, attention_mask))
    assert {file.name for file in folder.iterdir()} == {
        "classifier.json",
        "config.json",
        files.WEIGHTS,
        "tokenizer.json",
    }
    for name in ("config.json", "tokenizer.json"):
        assert (folder / name).read_bytes() == (tmp_path / "pretrained" / name).read_bytes()
