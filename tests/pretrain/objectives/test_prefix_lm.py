"""Prefix language modelling against a run over each prefix and what was said so far."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from stages.pretrain.objectives import prefix_lm
from stages.pretrain.sequences import Text
from tests.pretrain import made
from tests.pretrain.test_masking import ids
from tests.pretrain.test_source_target import documents_of

LENGTH = 16


@pytest.mark.parametrize("told_apart", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 5])
def test_it_is_the_likelihood_behind_the_prefix(rows: int, told_apart: bool) -> None:
    """Every token is predicted as by a run that ends before it; nothing of the prefix is a target."""
    objective, input_ids = made.objective_of("prefix_lm"), ids(rows, LENGTH)
    model = made.model_of(objective, disturbed=True)
    documents = documents_of(input_ids) if told_apart else torch.zeros_like(input_ids)
    text = Text(input_ids, documents if told_apart else None)
    term = objective.terms(model, text, made.generator(), torch.float32)["prefix_lm"]
    states, labels = [], []
    for row, prefix in enumerate(prefix_lm.draw(rows, LENGTH, made.generator()).tolist()):
        for target in range(prefix, LENGTH):
            mask = torch.tensor(
                [
                    [
                        (key <= query or key < prefix) and documents[row, key] == documents[row, query]
                        for key in range(target)
                    ]
                    for query in range(target)
                ]
            )
            states.append(model.model(input_ids[row : row + 1, :target], mask[None])[-1][0, -1])
            labels.append(input_ids[row, target])
    reference = F.cross_entropy(model.logits(torch.stack(states)), torch.stack(labels), reduction="sum")
    assert term.count == len(labels) == rows // 2 * LENGTH + rows % 2 * LENGTH // 2
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)


def test_prefixes_end_anywhere() -> None:
    """As likely after each token but the last (χ²), in either half of the rows, with as many targets in all."""
    prefixes = prefix_lm.draw(6000, LENGTH, made.generator())
    for half in prefixes.chunk(2):
        assert chisquare(torch.bincount(half, minlength=LENGTH)[1:].numpy()).pvalue > 0.001
    assert (prefixes >= 1).all()
    assert (prefixes < LENGTH).all()
    assert (LENGTH - prefixes).sum() == 3000 * LENGTH


@pytest.mark.parametrize("rows", range(1, 8))
def test_a_batch_always_has_as_many_targets(rows: int) -> None:
    """Whatever is drawn, also of an odd number of rows; and they cost what is said."""
    objective = made.objective_of("prefix_lm")
    model = made.model_of(objective, disturbed=True)
    totals = {int((LENGTH - prefix_lm.draw(rows, LENGTH, made.generator(seed))).sum()) for seed in range(20)}
    assert len(totals) == 1
    with FlopCounterMode(display=False) as counter:
        terms = objective.terms(model, Text(ids(rows, LENGTH), None), made.generator(), torch.float32)
        terms["prefix_lm"].total.backward()
    assert objective.flops(model.config, rows, LENGTH) == pytest.approx(counter.get_total_flops(), rel=0.02)
