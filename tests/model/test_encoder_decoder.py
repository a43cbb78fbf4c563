"""Stacks that read other stacks: who sees whom, and what is written to disk."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.model import files, visibility
from stages.model.config import TransformerConfig
from stages.model.transformer import CrossAttention, EncoderDecoder, LanguageModel, Memory, initialize

VOCABULARY = 200
CONFIG = TransformerConfig(VOCABULARY, 32, 2, 2, 48, num_decoder_layers=3)


def made(config: TransformerConfig = CONFIG) -> EncoderDecoder:
    """Every weight matters: the zero and one initial weights are disturbed."""
    model = EncoderDecoder(config)
    generator = torch.Generator().manual_seed(0)
    initialize(model, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(5, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_cross_attention_is_its_definition() -> None:
    """softmax(QKᵀ/√d)V per head, with loops."""
    layer = CrossAttention(CONFIG)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    x, states = torch.randn(2, 5, 32, generator=generator), torch.randn(2, 7, 32, generator=generator)
    with torch.no_grad():
        found = layer(x, states, None)
        for row in range(2):
            query = x[row] @ layer.Wq.weight.T
            key, value = (states[row] @ layer.Wkv.weight.T).chunk(2, dim=-1)
            heads = []
            for head in range(2):
                part = slice(16 * head, 16 * (head + 1))
                weights = (query[:, part] @ key[:, part].T / math.sqrt(16)).softmax(-1)
                heads.append(weights @ value[:, part])
            torch.testing.assert_close(found[row], torch.cat(heads, -1) @ layer.Wo.weight.T, atol=1e-5, rtol=1e-5)


def test_the_decoder_sees_what_it_has_written_and_all_that_it_reads() -> None:
    """Token by token it says what it says at once; a later target, or padding of the source, changes nothing."""
    model, source, target = made(), ids(2, 9), ids(2, 6, 2)
    mask = torch.ones_like(source)
    mask[1, 6:] = 0
    with torch.no_grad():
        memory = Memory(model.model(source, mask)[-1], mask)
        whole = model.decode(target, memory)
        for length in range(1, 7):
            torch.testing.assert_close(
                model.decode(target[:, :length], memory), whole[:, :length], atol=1e-5, rtol=1e-5
            )
        alone = model.decode(target[1:], Memory(model.model(source[1:, :6])[-1], None))
        torch.testing.assert_close(alone, whole[1:], atol=1e-5, rtol=1e-5)
        other = model.decode(target, Memory(model.model(ids(2, 9, 5), mask)[-1], mask))
    assert not torch.allclose(other, whole, atol=1e-3)


def test_every_weight_is_learnt() -> None:
    """And there is one embedding table: encoder, decoder and output share it."""
    model, source, target = made(), ids(2, 9), ids(2, 6, 2)
    memory = Memory(model.model(source)[-1], None)
    hidden = model.decode(target[:, :-1], memory)
    model.nll(hidden.flatten(0, 1), target[:, 1:].flatten()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    tables = [name for name, parameter in model.named_parameters() if VOCABULARY in parameter.shape]
    assert tables == ["model.embeddings.tok_embeddings.weight"]


def test_files_round_trip_and_transformers_reads_the_encoder(tmp_path: Path) -> None:
    """Saved and loaded, it is the same; a process with transformers alone gets the encoder's states."""
    model, source, target = made(), ids(2, 9), ids(2, 6, 2)
    files.save(tmp_path / "model", model)
    loaded = files.load(tmp_path / "model")
    assert isinstance(loaded, EncoderDecoder)
    with torch.no_grad():
        memories = [Memory(m.model(source)[-1], None) for m in (model, loaded)]
        logits = [m.logits(m.decode(target, memory)) for m, memory in zip((model, loaded), memories, strict=True)]
    assert torch.equal(*logits)
    save_file({"ids": source}, tmp_path / "ids.safetensors")
    script = (
        "import sys\n"
        "from transformers import AutoModel\n"
        "from safetensors.torch import load_file, save_file\n"
        "states = AutoModel.from_pretrained(sys.argv[1]).eval()(input_ids=load_file(sys.argv[2])['ids'])\n"
        "save_file({'states': states.last_hidden_state.detach()}, sys.argv[3])\n"
    )
    arguments = [str(tmp_path / name) for name in ("model", "ids.safetensors", "states.safetensors")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=tmp_path, capture_output=True)
    theirs = load_file(tmp_path / "states.safetensors")["states"]
    torch.testing.assert_close(memories[0].states, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 4, 8])
def test_a_prefix_is_seen_by_all_and_the_rest_is_causal(length: int) -> None:
    """The mask of T5's Figure 4, and its two ends: no prefix is a decoder, all prefix is an encoder."""
    mask = visibility.prefix(torch.tensor([length]), 8)[0]
    for query in range(8):
        for key in range(8):
            assert bool(mask[query, key]) is (key < length or key <= query)
    model = made(TransformerConfig(VOCABULARY, 32, 2, 2, 48)).model
    text = ids(1, 8)
    with torch.no_grad():
        states = model(text, mask[None], causal=False)[-1]
        if length == 0:
            torch.testing.assert_close(states, model(text, causal=True)[-1])
        if length == 8:
            torch.testing.assert_close(states, model(text)[-1])


def test_logits_with_a_prefix_are_those_of_transformers_with_the_same_mask(tmp_path: Path) -> None:
    """A stock ModernBERT given the prefix mask says the same."""
    from transformers import AutoModelForMaskedLM

    model = LanguageModel(TransformerConfig(VOCABULARY, 32, 2, 2, 48))
    initialize(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)) * 0.1)
    files.save(tmp_path / "model", model)
    text, mask = ids(2, 8), visibility.prefix(torch.tensor([3, 5]), 8)
    stock = AutoModelForMaskedLM.from_pretrained(tmp_path / "model", attn_implementation="eager").eval()
    additive = visibility.additive(8, mask, causal=False, device=text.device, dtype=torch.float32)
    with torch.no_grad():
        masks = {"full_attention": additive, "sliding_attention": additive}
        theirs = stock(input_ids=text, attention_mask=masks).logits
        ours = model.logits(model.model(text, mask)[-1])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_documents_do_not_see_each_other() -> None:
    """The mask between queries and keys of different documents, with loops."""
    documents, others = torch.tensor([[0, 0, 1, 2]]), torch.tensor([[0, 1, 1]])
    mask = visibility.within(documents, others)[0]
    assert mask.tolist() == [[q == k for k in others[0].tolist()] for q in documents[0].tolist()]
    assert torch.equal(visibility.within(documents), visibility.within(documents, documents))
