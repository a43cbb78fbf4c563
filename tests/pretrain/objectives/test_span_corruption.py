"""Span corruption: what it predicts is what stands in `stages.pretrain.spans`."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from stages.errors import StageError
from stages.model.transformer import Memory
from stages.pretrain.sequences import Text
from stages.pretrain.spans import Corruption
from stages.tokenizer.special import CLS_ID
from tests.pretrain import made
from tests.pretrain.test_masking import ids


def test_it_is_the_likelihood_of_the_spans() -> None:
    """T5's: the decoder sees [CLS] and the target so far, and loss and gradients are of all its tokens."""
    objective, text = made.objective_of("span_corruption"), Text(ids(8, 32), None)
    model = made.model_of(objective, disturbed=True)
    source, target = Corruption.of(32, 0.15, 3, remedy="").pairs(text, made.generator())
    term = objective.terms(model, text, made.generator(), torch.float32)["span_corruption"]
    inputs = torch.cat([torch.full((8, 1), CLS_ID), target.input_ids[:, :-1]], 1)
    logits = model.logits(model.decode(inputs, Memory(model.model(source.input_ids)[-1], None)))
    reference = F.cross_entropy(logits.flatten(0, 1), target.input_ids.flatten(), reduction="sum")
    assert term.count == 8 * (5 + 2 + 1)
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)
    weights = list(model.parameters())
    gradients = zip(*(torch.autograd.grad(total, weights) for total in (term.total, reference)), strict=True)
    for found, expected in gradients:
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_in_a_prefix_decoder_the_target_goes_on_behind_the_source() -> None:
    """From the source's last token on, seen by none before it."""
    objective, text = made.objective_of("span_corruption", architecture="prefix_decoder"), Text(ids(8, 32), None)
    model = made.model_of(objective, disturbed=True)
    source, target = Corruption.of(32, 0.15, 3, remedy="").pairs(text, made.generator())
    term = objective.terms(model, text, made.generator(), torch.float32)["span_corruption"]
    mask = torch.ones(1, 37, 37).tril()
    mask[:, :, :29] = 1
    states = model.model(torch.cat([source.input_ids, target.input_ids], 1), mask)[-1]
    reference = F.cross_entropy(
        model.logits(states[:, 28:36]).flatten(0, 1), target.input_ids.flatten(), reduction="sum"
    )
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)


def test_more_spans_than_sentinels_are_an_error() -> None:
    """Before anything is trained, with the keys that help."""
    objective = made.objective_of("span_corruption", noise_density=0.5, mean_span_length=2)
    config = objective.configure(made.ENCODER)
    assert objective.flops(config, 8, 396) > 0
    with pytest.raises(
        StageError, match=r"objectives\.span_corruption\.noise_density.*pretrain\.sequence_length.*mean"
    ):
        objective.flops(config, 8, 400)
