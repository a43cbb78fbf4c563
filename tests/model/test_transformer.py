"""The block against transformers' own implementation of the same architecture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.errors import StageError
from stages.model import files
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize

VOCABULARY = 200


def made(causal: bool, seed: int = 0) -> LanguageModel:
    """A 32-dim model whose every weight matters: the zero and one initial weights are disturbed."""
    model = LanguageModel(TransformerConfig(VOCABULARY, 32, 3, 2, 48, causal))
    generator = torch.Generator().manual_seed(seed)
    initialize(model, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts of 20 and 12 tokens, padded on the right."""
    input_ids = torch.randint(5, VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(1))
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 12:] = 0
    return input_ids, attention_mask


@pytest.mark.parametrize("causal", [False, True])
def test_logits_equal_those_of_transformers(causal: bool, tmp_path: Path) -> None:
    """A process that has only transformers loads the model and says the same."""
    model, (input_ids, attention_mask) = made(causal), batch()
    files.save(tmp_path / "model", model)
    save_file({"ids": input_ids, "mask": attention_mask}, tmp_path / "batch.safetensors")
    script = (
        "import sys, torch\n"
        f"from transformers import AutoModelFor{'CausalLM' if causal else 'MaskedLM'} as Auto\n"
        "from safetensors.torch import load_file, save_file\n"
        "batch = load_file(sys.argv[2])\n"
        "model = Auto.from_pretrained(sys.argv[1]).eval()\n"
        "with torch.no_grad():\n"
        "    logits = model(input_ids=batch['ids'], attention_mask=batch['mask']).logits\n"
        "save_file({'logits': logits}, sys.argv[3])\n"
        "assert not any(name.startswith('stages') for name in sys.modules)\n"
    )
    arguments = [str(tmp_path / name) for name in ("model", "batch.safetensors", "logits.safetensors")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=tmp_path, capture_output=True)
    with torch.no_grad():
        ours = model.logits(model.model(input_ids, attention_mask)[-1])
    theirs = load_file(tmp_path / "logits.safetensors")["logits"]
    real = attention_mask.bool()
    torch.testing.assert_close(ours[real], theirs[real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(causal: bool) -> None:
    """A text alone, and the same text padded, have the same states at its tokens."""
    model, (input_ids, attention_mask) = made(causal), batch()
    with torch.no_grad():
        padded = model.model(input_ids, attention_mask)
        alone = model.model(input_ids[1:, :12])
    for with_padding, without in zip(padded, alone, strict=True):
        torch.testing.assert_close(with_padding[1:, :12], without, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_only_an_encoder_sees_what_follows(causal: bool) -> None:
    """Changing the last token changes earlier states of the encoder, and none of the decoder's."""
    model, (input_ids, _) = made(causal), batch()
    changed = input_ids.clone()
    changed[:, -1] = 5 + (changed[:, -1] - 4) % (VOCABULARY - 5)
    with torch.no_grad():
        before, after = model.model(input_ids)[-1], model.model(changed)[-1]
    assert torch.equal(before[:, :-1], after[:, :-1]) is causal
    assert not torch.allclose(before[:, -1], after[:, -1])


@pytest.mark.parametrize("causal", [False, True])
def test_bf16_is_near_fp32(causal: bool) -> None:
    """Computing in bf16 stays within what eight bits of mantissa allow."""
    model, (input_ids, _) = made(causal), batch()
    with torch.no_grad():
        exact, rounded = (model.model(input_ids, dtype=dtype)[-1] for dtype in (torch.float32, torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert (exact - rounded.float()).abs().mean() < 0.02 * exact.abs().mean() + 0.01


@pytest.mark.parametrize("depth", range(5))
def test_what_lies_above_the_wanted_depth_is_left_out(depth: int) -> None:
    """The states up to a depth are those of the whole stack, bit for bit, and there are no more."""
    model = made(causal=False).model
    with torch.no_grad():
        wanted, whole = model(*batch(), depth=depth), model(*batch())
    assert len(wanted) == depth + 1
    assert all(torch.equal(state, expected) for state, expected in zip(wanted, whole[: depth + 1], strict=True))


def test_every_layer_starts_as_the_identity() -> None:
    """Zero output projections: at first, all depths below the final norm are the embeddings."""
    model = LanguageModel(TransformerConfig(VOCABULARY, 32, 3, 2, 48))
    initialize(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = model.model(batch()[0])
    assert all(torch.equal(state, states[0]) for state in states[:-1])


def test_files_round_trip(tmp_path: Path) -> None:
    """Saving twice gives the same bytes, and loading gives the same weights."""
    model = made(causal=True)
    for name in "ab":
        files.save(tmp_path / name, model)
    weights = [(tmp_path / name / files.WEIGHTS).read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    loaded = files.load(tmp_path / "a").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    """A truncated file is an error that says which, and how to get it back."""
    files.save(tmp_path / "model", made(causal=False))
    weights = tmp_path / "model" / files.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(StageError, match=r"model\.safetensors.*dvc repro"):
        files.load(tmp_path / "model")


def test_shrunk_embeddings_say_the_same() -> None:
    """Every row has its initial spread, and what leaves the norm differs by less than 2 %, for rows of any length."""
    embeddings, (input_ids, _) = made(causal=False).model.embeddings, batch()
    with torch.no_grad():
        embeddings.tok_embeddings.weight.mul_(torch.linspace(0.3, 30, VOCABULARY)[:, None])
        before = embeddings(input_ids, torch.float32)
        embeddings.shrink()
        after = embeddings(input_ids, torch.float32)
    spread = embeddings.tok_embeddings.weight.std(dim=1, unbiased=False)
    torch.testing.assert_close(spread, torch.full_like(spread, 0.02))
    torch.testing.assert_close(after, before, rtol=0.02, atol=1e-6)
