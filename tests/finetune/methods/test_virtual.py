"""Virtual tokens and prefixes against what transformers computes of embedded inputs and of a cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stages import params
from stages.errors import StageError
from stages.finetune import run
from stages.model import rotary
from stages.model.classifier import Classifier
from stages.model.imported import Imported
from tests.finetune.made import VOCABULARY
from tests.finetune.methods.made import classifier_on, method, pretrained
from tests.model import checkpoints

COUNT = 2


def attached(name: str, folder: Path) -> Classifier:
    model, chosen = classifier_on(folder), method(name)
    chosen.attach(model, 0)
    return model.eval()


def embedded(kind: str, model: Classifier, rows: Tensor) -> tuple[Tensor, ...]:
    """States of the virtual tokens and the texts, through ``inputs_embeds`` of transformers' own model."""
    ids, mask = checkpoints.batch()
    theirs = checkpoints.model(kind)
    theirs = theirs.get_encoder() if theirs.config.is_encoder_decoder else theirs
    words = theirs.get_input_embeddings()(ids)
    read = theirs(
        inputs_embeds=torch.cat([rows.expand(2, -1, -1), words], dim=1),
        attention_mask=torch.cat([torch.ones(2, COUNT, dtype=torch.long), mask], dim=1),
        output_hidden_states=True,
    )
    states: tuple[Tensor, ...] = read.hidden_states
    return states


@pytest.mark.parametrize("name", ["prompt", "p_tuning"])
@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2", "t5"])
def test_imported_states_are_those_of_embedded_inputs(name: str, kind: str, tmp_path: Path) -> None:
    """Those of the texts alone, which have seen the virtual tokens."""
    model = attached(name, checkpoints.save(tmp_path / kind, kind))
    with torch.no_grad():
        found = model.transformer(*checkpoints.batch(), torch.float32, 2)
        rows = model.transformer.encoder(torch.arange(COUNT))
        expected = embedded(kind, model, rows)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == (2, 20, 32)
        torch.testing.assert_close(one, other[:, COUNT:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["encoder", "decoder"])
def test_ours_are_those_of_words_with_these_rows(architecture: str, tmp_path: Path) -> None:
    """A table that has the rows as two more words, read with the two in front."""
    base = pretrained(tmp_path / "base", architecture)
    model, plain = attached("prompt", base), classifier_on(base).transformer
    ids, mask = checkpoints.batch(VOCABULARY)
    table = plain.embeddings.tok_embeddings
    with torch.no_grad():
        rows = model.transformer.encoder(torch.arange(COUNT))
        table.weight = torch.nn.Parameter(torch.cat([table.weight, rows]))
        front = torch.arange(VOCABULARY, VOCABULARY + COUNT).expand(2, -1)
        expected = plain(torch.cat([front, ids], 1), torch.cat([torch.ones_like(front), mask], 1))
        found = model.transformer(ids, mask, torch.float32, 3)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other[:, COUNT:])


def test_a_prompt_begins_with_rows_of_words(tmp_path: Path) -> None:
    base = pretrained(tmp_path / "base", "encoder")
    rows = attached("prompt", base).transformer.encoder.embedding.weight
    table = classifier_on(base).transformer.embeddings.tok_embeddings.weight
    assert all((table == row).all(1).any() for row in rows)


def test_a_prefix_is_a_cache_of_keys_and_values(tmp_path: Path) -> None:
    """GPT-2 of transformers with a cache that holds them, its positions counted from the text on."""
    from transformers import DynamicCache

    model = attached("prefix", checkpoints.save(tmp_path / "gpt2", "gpt2"))
    ids, mask = checkpoints.batch()
    cache, theirs = DynamicCache(), checkpoints.model("gpt2")
    with torch.no_grad():
        for index in range(2):
            prefix = model.transformer.get_submodule(f"model.h.{index}.attn.prefix")
            key, value = prefix(torch.zeros(2, 2, 0, 16), torch.zeros(2, 2, 0, 16))
            cache.update(key.clone(), value.clone(), index)
        expected = theirs(
            input_ids=ids,
            attention_mask=torch.cat([torch.ones(2, 4, dtype=torch.long), mask], 1),
            past_key_values=cache,
            position_ids=torch.arange(20)[None],
            output_hidden_states=True,
        ).hidden_states
        found = model.transformer(ids, mask)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(one[1, :12], other[1, :12], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["encoder", "decoder"])
def test_our_prefix_is_softmax_over_more_keys(architecture: str, tmp_path: Path) -> None:
    """Attention written out, one head and one query at a time."""
    base = pretrained(tmp_path / "base", architecture)
    prefixed = attached("prefix", base).transformer.get_submodule("layers.0.attn")
    generator = torch.Generator().manual_seed(0)
    x, causal = torch.randn(1, 6, 32, generator=generator), architecture == "decoder"
    position = rotary.tables(6, 16, 10000.0, x.device)
    mask = torch.full((6, 6), torch.finfo(torch.float32).min).triu(1)[None, None] if causal else None
    with torch.no_grad():
        query, key, value = prefixed.base.read(x, position)
        rows = prefixed.prefix.encoder(torch.arange(4)).view(4, 2, 2, 16)
        mixed = torch.empty(1, 2, 6, 16)
        for head in range(2):
            keys = torch.cat([rows[:, 0, head], key[0, head]])
            values = torch.cat([rows[:, 1, head], value[0, head]])
            for place in range(6):
                seen = 4 + (place + 1 if causal else 6)
                weights = (keys[:seen] @ query[0, head, place] / 4).softmax(0)
                mixed[0, head, place] = weights @ values[:seen]
        torch.testing.assert_close(prefixed(x, position, mask), prefixed.base.write(mixed), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2", "t5"])
@pytest.mark.parametrize("name", ["prefix", "prompt", "p_tuning"])
def test_padding_changes_nothing(name: str, kind: str, tmp_path: Path) -> None:
    """A text alone says what it says among longer ones."""
    model = attached(name, checkpoints.save(tmp_path / kind, kind))
    ids, mask = checkpoints.batch(padding=1 if kind == "roberta" else 0)
    with torch.no_grad():
        torch.testing.assert_close(model(ids[1:, :12], mask[1:, :12]), model(ids, mask)[1:], atol=1e-4, rtol=1e-4)


def test_where_a_prefix_cannot_be_it_is_said(tmp_path: Path) -> None:
    """DeBERTa computes attention in a way of its own."""
    with pytest.raises(StageError, match=r"finetune\.methods: prefix cannot be: .*DebertaV2Model.*take prompt"):
        attached("prefix", checkpoints.save(tmp_path / "deberta", "deberta-v2"))


def test_where_there_is_no_room_it_is_said() -> None:
    """A model of 24 positions has none for 20 virtual tokens and a text."""
    body = Imported(checkpoints.model("bert"))
    settings = params.load()
    assert run._length(settings, body, "prompt", method("prompt")) == 22
    with pytest.raises(StageError, match=r"methods\.prompt: virtual_tokens is 20, .* only 24 positions"):
        run._length(settings, body, "prompt", method("prompt", virtual_tokens=20))
