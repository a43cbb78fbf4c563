"""Every architecture is pooled by its own tokens alone, and the decoder's end is where transformers reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.model import backbone, classifier, files, imported
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.transformer import EncoderDecoder, Memory
from stages.params import Pooling
from tests.model import checkpoints
from tests.model.test_encoder_decoder import made as encoder_decoder
from tests.model.test_transformer import batch, made

BART = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 24,
}  # fmt: skip
T5 = {**checkpoints.KINDS["t5"], "num_decoder_layers": 3, "decoder_start_token_id": 0}
OWN: dict[str, Callable[[], Any]] = {
    "encoder": lambda: made(causal=False),
    "decoder": lambda: made(causal=True),
    "encoder-decoder": encoder_decoder,
}
POOLINGS: tuple[Pooling, ...] = ("mean", "first", "last")


def pretrained(folder: Path, kind: str) -> Path:
    """A model of 32 dimensions, each weight of which matters."""
    if kind in OWN:
        files.save(folder, OWN[kind]())
    elif kind == "bart":
        stock("bart", "AutoModel").save_pretrained(folder)
    else:
        checkpoints.model(kind, **(T5 if kind == "t5" else {})).save_pretrained(folder)
    return folder


def stock(kind: str, purpose: str) -> Any:
    """An encoder–decoder of transformers, drawn as `checkpoints.model` draws."""
    import transformers

    config = transformers.AutoConfig.for_model(kind, vocab_size=60, **{"bart": BART, "t5": T5}[kind])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, purpose).from_config(config).eval()


def classify(folder: Path, pooling: Pooling) -> Classifier:
    """All depths, and a head that is not zero."""
    body = backbone.load(folder, pooling)
    model = Classifier(body, ClassifierConfig(("no", "yes"), tuple(body.depths), 20, pooling))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return model.eval()


def texts(kind: str) -> tuple[Tensor, Tensor]:
    """Two of 20 and 12 tokens, padded on the right."""
    return batch() if kind in OWN else checkpoints.batch(vocab_size=28, padding=1 if kind in ("roberta", "bart") else 0)


def on_the_left(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """The same texts, padded on the other side."""
    shifts = (attention_mask == 0).sum(1).tolist()
    return tuple(  # type: ignore[return-value]
        torch.stack([torch.roll(row, shift) for row, shift in zip(rows, shifts, strict=True)])
        for rows in (input_ids, attention_mask)
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", [*OWN, *checkpoints.KINDS, "bart"])
def test_the_side_of_padding_does_not_matter(kind: str, pooling: Pooling, tmp_path: Path) -> None:
    """To the bit, positions counted from a table or not; and a text alone says what it says among others."""
    model, (input_ids, attention_mask) = classify(pretrained(tmp_path / kind, kind), pooling), texts(kind)
    left = on_the_left(input_ids, attention_mask)
    assert not torch.equal(left[1], attention_mask)
    with torch.no_grad():
        logits = model(input_ids, attention_mask)
        assert torch.equal(model(*left), logits)
        alone = model(input_ids[1:, :12], attention_mask[1:, :12])
    torch.testing.assert_close(logits[1:], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "bert", "gpt2"])
def test_a_text_is_read_where_the_pooling_says(kind: str, tmp_path: Path) -> None:
    """Row by row, without padding: its mean, its first, its last state of each depth, normed."""
    folder, (input_ids, attention_mask) = pretrained(tmp_path / kind, kind), texts(kind)
    body = backbone.load(folder).eval()
    reduced: dict[Pooling, Callable[[Tensor], Tensor]] = {
        "mean": lambda states: states.mean(0), "first": lambda states: states[0], "last": lambda states: states[-1]
    }  # fmt: skip
    for pooling in POOLINGS:
        with torch.no_grad():
            found = classify(folder, pooling).features(input_ids, attention_mask, torch.float32)
            for row, length in enumerate((20, 12)):
                states = [state[0] for state in body(input_ids[row : row + 1, :length])]
                expected = torch.cat([F.layer_norm(reduced[pooling](state), (32,)) for state in states])
                torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=1e-4)


def test_our_decoder_reads_the_text_that_was_encoded(tmp_path: Path) -> None:
    """The last state is that of the model as it was pre-trained, given the text twice."""
    model, (input_ids, attention_mask) = encoder_decoder(), texts("encoder-decoder")
    assert isinstance(model, EncoderDecoder)
    found = classify(pretrained(tmp_path / "model", "encoder-decoder"), "last")
    assert found.config.depths == tuple(range(3 + 2))
    with torch.no_grad():
        features = found.features(input_ids, attention_mask, torch.float32)[:, -32:]
        for row, length in enumerate((20, 12)):
            text = input_ids[row : row + 1, :length]
            state = model.decode(text, Memory(model.model(text)[-1], None))[0, -1]
            torch.testing.assert_close(features[row], F.layer_norm(state, (32,)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_the_decoders_end_is_where_transformers_reads_it(kind: str, tmp_path: Path) -> None:
    """What its own class for sequence classification gives to its head, at the token that ends a text."""
    theirs, end = stock(kind, "AutoModelForSequenceClassification"), {"bart": 2, "t5": 1}[kind]
    (theirs.model if kind == "bart" else theirs.transformer).save_pretrained(tmp_path)
    input_ids, attention_mask = checkpoints.batch(padding=theirs.config.pad_token_id)
    input_ids[0, 19] = input_ids[1, 11] = end
    seen: list[Tensor] = []
    theirs.classification_head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model = classify(tmp_path, "last")
    with torch.no_grad():
        theirs(input_ids=input_ids, attention_mask=attention_mask)
        features = model.features(input_ids, attention_mask, torch.float32)
    assert model.config.depths == tuple(range(4))
    torch.testing.assert_close(features[:, -32:], F.layer_norm(seen[0], (32,)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["encoder-decoder", "t5", "bart"])
def test_both_stacks_are_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    """From the classifier's own folder alone."""
    folder = pretrained(tmp_path / kind, kind)
    model = classify(folder, "last")
    classifier.save(tmp_path / "saved", model, folder)
    loaded = classifier.load(tmp_path / "saved")
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(*texts(kind)), model(*texts(kind)))


def test_the_second_of_a_pair_is_a_segment_of_its_own(tmp_path: Path) -> None:
    """As the tokenizer of a BERT says; one that tells no segments apart leaves all in the first."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoModel

    folder, tokenizer = checkpoints.save(tmp_path / "bert"), checkpoints.tokens("bert")
    plain = imported.load(folder)
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(20)
    rows = tokenizer.encode_batch([("good film", "the plot"), ("a dull film .", "warm")])
    ids, mask, segments = (
        torch.tensor([getattr(row, name) for row in rows]) for name in ("ids", "attention_mask", "type_ids")
    )
    assert segments.any()
    theirs = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
        found, without = (model(ids, mask)[-1] for model in (imported.load(folder), plain))
    real = mask.bool()
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(without[real], expected[real], atol=1e-2)
