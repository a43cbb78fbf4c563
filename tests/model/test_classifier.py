"""Pooling and the classifier's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages.model import classifier
from stages.model.classifier import Classifier, ClassifierConfig, depths_of
from tests.model.test_transformer import batch, made


def classify(causal: bool) -> Classifier:
    """A classifier over all depths with a head that is not zero."""
    transformer = made(causal).model
    config = ClassifierConfig(("no", "yes", "maybe"), tuple(depths_of(transformer.config)), 64)
    model = Classifier(transformer, config)
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("causal", [False, True])
def test_logits_are_computed_where_the_transformer_is(causal: bool) -> None:
    """The batch stays on the CPU; the head is made on the transformer's device."""
    transformer = made(causal).model.to("meta")
    model = Classifier(transformer, ClassifierConfig(("no", "yes"), tuple(depths_of(transformer.config)), 64))
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


def test_files_round_trip(tmp_path: Path) -> None:
    """The loaded model gives the same logits."""
    model, (input_ids, attention_mask) = classify(causal=False), batch()
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    classifier.save(tmp_path / "model", model, tmp_path / "tokenizer")
    loaded = classifier.load(tmp_path / "model")
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(input_ids, attention_mask), model(input_ids, attention_mask))
