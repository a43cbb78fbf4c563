"""Products instead of the fused kernel: the states and gradients of transformers itself, and dropout by definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stages.model import imported_attention
from stages.model.dropout import Dropout
from stages.model.imported import Imported
from tests.model import checkpoints

LLAMA = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48,
}  # fmt: skip
"""Two of its heads share keys and values."""


def stock(kind: str) -> Any:
    """A model of transformers, drawn as `checkpoints.model` draws."""
    import transformers

    if kind in checkpoints.KINDS:
        return checkpoints.model(kind)
    config = transformers.AutoConfig.for_model(kind, vocab_size=28, **LLAMA)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModel.from_config(config).eval()


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2", "t5", "llama"])
def test_states_and_gradients_are_those_of_the_kernel(kind: str) -> None:
    """Of texts with padding, and of every parameter."""
    theirs, ours = stock(kind), Imported(stock(kind))
    input_ids, mask = checkpoints.batch(padding=1 if kind == "roberta" else 0)
    theirs = theirs.get_encoder() if kind == "t5" else theirs
    assert theirs.config._attn_implementation == imported_attention.FUSED
    assert ours.model.config._attn_implementation == imported_attention.KIND
    expected = theirs(input_ids=input_ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    found = ours(input_ids, mask)[-1]
    real = mask.bool()
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-5)
    for states in (expected, found):
        (states[real] * torch.arange(32)).pow(2).mean().backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.model.named_parameters():
        wanted = gradients[name].grad
        if wanted is not None:
            torch.testing.assert_close(parameter.grad, wanted, atol=1e-3, rtol=1e-3, msg=name)


def test_deberta_keeps_its_own() -> None:
    """It has no place for another, for its scores are no plain products."""
    assert Imported(checkpoints.model("deberta-v2")).model.config._attn_implementation != imported_attention.KIND


def test_attention_is_left_out_as_drawn() -> None:
    """softmax(QKᵀ/√d + mask), some of it zero and the rest scaled up, times V; without a draw none is."""
    query, key, value = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    mask = torch.zeros(2, 1, 6, 6)
    mask[1, ..., 4:] = torch.finfo(torch.float32).min
    weights = (query @ key.transpose(-1, -2) / 8**0.5 + mask).softmax(-1)
    kept = Dropout(0.3, torch.Generator().manual_seed(5))(torch.ones_like(weights)) != 0
    module = torch.nn.Identity()
    with imported_attention.dropping(Dropout(0.3, torch.Generator().manual_seed(5))):
        found, _ = imported_attention._attend(module, query, key, value, mask)
    after, _ = imported_attention._attend(module, query, key, value, mask)
    torch.testing.assert_close(found.transpose(1, 2), (weights * kept / 0.7) @ value, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.transpose(1, 2), weights @ value, atol=1e-5, rtol=1e-5)


def test_a_model_drops_attention_where_it_drops_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the call that is given a rate, in every layer, and in none after it."""
    seen: list[float] = []
    plain = Dropout.__call__

    def watch(dropout: Dropout, x: torch.Tensor) -> torch.Tensor:
        if x.ndim == 4:
            seen.append(dropout.probability)
        return plain(dropout, x)

    monkeypatch.setattr(Dropout, "__call__", watch)
    model, (input_ids, mask) = Imported(checkpoints.model("bert")), checkpoints.batch()
    model(input_ids, mask, dropout=Dropout(0.3, torch.Generator().manual_seed(0)))
    model(input_ids, mask)
    assert seen == [0.3, 0.3, 0.0, 0.0]
