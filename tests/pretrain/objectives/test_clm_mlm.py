"""Causal and masked rows in one batch against each objective on rows of its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.pretrain import masking
from stages.pretrain.sequences import Text
from stages.training.loss import Loss, Term
from tests.pretrain import made
from tests.pretrain.corpus import vocabulary
from tests.pretrain.test_masking import ids
from tests.pretrain.test_source_target import documents_of

LENGTH = 32
MODEL = made.model_of(made.objective_of("clm_mlm"), disturbed=True)


def run(text: Text, *, training: bool = True, **options: Any) -> dict[str, Term]:
    objective = made.objective_of("clm_mlm", **options)
    return objective.terms(MODEL.train(training), text, made.generator(), torch.float32)


def causal_reference(text: Text) -> Tensor:
    """Cross-entropy of every next token, under a mask that shows no later one."""
    rows, length = text.input_ids.shape
    seen = torch.ones(length, length).tril().bool().expand(rows, -1, -1)
    if text.attention_mask is not None:
        seen = seen & text.attention_mask
    logits = MODEL.logits(MODEL.model(text.input_ids, seen, causal=False)[-1])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), text.input_ids[:, 1:].flatten(), reduction="sum")


def masked_reference(text: Text, probability: float) -> Tensor:
    """Cross-entropy of the masked tokens at their own places, all positions seeing all others."""
    batch = masking.mask(text.input_ids, probability, vocabulary(), made.generator())
    labels = torch.full((text.input_ids.numel(),), -100).index_copy(0, batch.positions, batch.labels)
    logits = MODEL.logits(MODEL.model(batch.input_ids, text.attention_mask)[-1]).flatten(0, 1)
    return F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")


@pytest.mark.parametrize("told_apart", [False, True])
@pytest.mark.parametrize(
    ("rows", "share", "causal"), [(8, 0.5, 4), (8, 0.25, 2), (7, 0.8, 6), (8, 0.01, 1), (8, 0.99, 7)]
)
def test_some_rows_are_causal_and_the_others_masked(rows: int, share: float, causal: int, told_apart: bool) -> None:
    """As many as the share says, at least one of each; every loss weighs as its share."""
    input_ids = ids(rows, LENGTH)
    parts = [
        Text(part, documents_of(part) if told_apart else None) for part in input_ids.split([causal, rows - causal])
    ]
    terms = run(Text(input_ids, documents_of(input_ids) if told_apart else None), causal_share=share)
    expected = {"mlm": masked_reference(parts[1], 0.3), "clm": causal_reference(parts[0])}
    counts = {"mlm": round(0.3 * (rows - causal) * LENGTH), "clm": causal * (LENGTH - 1)}
    assert list(terms) == list(expected)
    for name, term in terms.items():
        torch.testing.assert_close(term.total, expected[name], rtol=1e-5, atol=1e-3)
        assert term.count == counts[name]
    value = (1 - share) * expected["mlm"] / counts["mlm"] + share * expected["clm"] / counts["clm"]
    torch.testing.assert_close(Loss(terms, 0).value, value, rtol=1e-5, atol=1e-4)


def test_evaluation_masks_as_many_as_bert() -> None:
    """Whatever is masked in training."""
    text = Text(ids(8, LENGTH), None)
    assert [run(text, training=training)["mlm"].count for training in (True, False)] == [
        round(rate * 4 * LENGTH) for rate in (0.3, 0.15)
    ]


def test_a_row_alone_is_both() -> None:
    """As the last of held-out text may be, and as every batch of one row is."""
    text = Text(ids(1, LENGTH), None)
    terms = run(text)
    torch.testing.assert_close(terms["clm"].total, causal_reference(text), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(terms["mlm"].total, masked_reference(text, 0.3), rtol=1e-5, atol=1e-3)
