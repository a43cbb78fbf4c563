"""Causal language modelling against logits and cross-entropy written out."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from stages.pretrain.sequences import Text
from tests.pretrain import made
from tests.pretrain.test_masking import ids


def test_it_is_the_likelihood_of_the_next_token() -> None:
    """Of every token but a row's first."""
    objective, text = made.objective_of("clm"), ids(8, 32)
    model = made.model_of(objective, disturbed=True)
    term = objective.terms(model, Text(text, None), made.generator(), torch.float32)["clm"]
    logits = model.logits(model.model(text)[-1])
    reference = F.cross_entropy(logits[:, :-1].flatten(0, 1), text[:, 1:].flatten(), reduction="sum")
    assert term.count == 8 * 31
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)
