"""Contrastive learning of windows against its formula (Gao et al. 2021, SimCSE, equation 4), pair by pair."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.errors import StageError
from stages.model.dropout import Dropout
from stages.pretrain.objectives.contrastive import Contrastive, Projected, info_nce
from stages.pretrain.sequences import Text
from stages.tokenizer.special import SPECIAL_TOKENS
from stages.training.loss import Loss, Term
from tests.pretrain import made
from tests.pretrain.corpus import VOCABULARY
from tests.pretrain.test_masking import ids
from tests.pretrain.test_source_target import documents_of

ROWS, LENGTH = 8, 32


def built(**options: Any) -> tuple[Contrastive, Projected]:
    objective: Any = made.objective_of("contrastive", **options)
    return objective, made.model_of(objective, disturbed=True).train()


def run(objective: Contrastive, model: Projected, text: Tensor) -> dict[str, Term]:
    return objective.terms(model, Text(text, None), made.generator(), torch.float32)


def views(objective: Contrastive, model: Projected, text: Text) -> tuple[Tensor, Tensor]:
    return objective.views(model, text, made.generator(), torch.float32)


def by_pairs(first: Tensor, second: Tensor, temperature: float) -> float:
    """-log (exp(sim(h_i, h_i') / τ) / Σ_j exp(sim(h_i, h_j') / τ)), summed over i."""

    def similarity(left: list[float], right: list[float]) -> float:
        norms = math.sqrt(sum(x * x for x in left)) * math.sqrt(sum(x * x for x in right))
        return sum(x * y for x, y in zip(left, right, strict=True)) / norms

    loss = 0.0
    for i, anchor in enumerate(first.tolist()):
        scores = [math.exp(similarity(anchor, other) / temperature) for other in second.tolist()]
        loss -= math.log(scores[i] / sum(scores))
    return loss


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_it_is_info_nce(temperature: float) -> None:
    """Of vectors that are alike and of any length, at any temperature."""
    first = torch.randn(6, 10, generator=made.generator(1)) * torch.arange(1, 7)[:, None]
    second = first + torch.randn(6, 10, generator=made.generator(2)) * torch.arange(6)[:, None]
    assert info_nce(first, second, temperature).item() == pytest.approx(by_pairs(first, second, temperature), rel=1e-4)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_its_terms_are_the_masked_loss_and_a_share_of_the_contrastive_one(temperature: float) -> None:
    """The former is that of `mlm` on the same masks, without dropout."""
    objective, model = built(temperature=temperature, contrastive_weight=0.25)
    text = ids(ROWS, LENGTH)
    terms = run(objective, model, text)
    masked = made.objective_of("mlm").terms(model, Text(text, None), made.generator(), torch.float32)["mlm"]
    assert terms["mlm"].total.item() == masked.total.item()
    generator = made.generator()
    made.objective_of("mlm").terms(model, Text(text, None), generator, torch.float32)  # the masks are drawn first
    first, second = objective.views(model, Text(text, None), generator, torch.float32)
    expected = by_pairs(first, second, temperature)
    assert terms["contrastive"].total.item() == pytest.approx(expected, rel=1e-4)
    assert terms["contrastive"].count == ROWS
    value = Loss(terms, 0).value.item()
    assert value == pytest.approx(masked.mean.item() + 0.25 * expected / ROWS, rel=1e-4)


@pytest.mark.parametrize("told_apart", [False, True])
def test_a_view_is_the_projected_mean_of_states_under_dropout(told_apart: bool) -> None:
    """Both views by one run over the windows twice, documents apart where they are to be."""
    objective, model = built(dropout=0.3)
    input_ids = ids(ROWS, LENGTH)
    text = Text(input_ids, documents_of(input_ids) if told_apart else None)
    twice = Text(input_ids.repeat(2, 1), text.documents.repeat(2, 1) if text.documents is not None else None)
    dropout = Dropout(0.3, made.generator())
    states = model.model(twice.input_ids, twice.attention_mask, dropout=dropout)[-1]
    expected = torch.tanh(states.mean(1) @ model.projection.weight.t())
    torch.testing.assert_close(torch.cat(views(objective, model, text)), expected)


@pytest.mark.parametrize("training", [True, False])
def test_views_differ_by_dropout(training: bool) -> None:
    """In evaluation, too; all but without dropout they are the same, and more of it makes them differ more."""
    text, distances = Text(ids(ROWS, LENGTH), None), []
    for probability in (1e-9, 0.1, 0.4):
        objective, model = built(dropout=probability)
        first, second = views(objective, model.train(training), text)
        distances.append((first - second).norm(dim=1))
    assert distances[0].max() < 1e-5
    assert (distances[1] > 1e-3).all()
    assert (distances[2] > distances[1]).all()


def test_both_views_and_all_that_makes_them_are_taught() -> None:
    """By the contrastive loss alone: either vector, every weight of the model, and the projection."""
    objective, model = built()
    first, second = views(objective, model, Text(ids(ROWS, LENGTH), None))
    gradients = torch.autograd.grad(info_nce(first, second, 0.05), (first, second), retain_graph=True)
    assert all(bool((gradient.norm(dim=1) > 0).all()) for gradient in gradients)
    info_nce(first, second, 0.05).backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert taught == {name for name, _ in model.named_parameters() if name.startswith(("model.", "projection."))}


def test_training_brings_views_together_and_windows_apart() -> None:
    """Of held-out windows: each is more similar to its other view than before, against the most similar other one."""
    objective, model = built(dropout=0.3)
    held_out = Text(ids(ROWS, LENGTH), None)

    def margin() -> float:
        with torch.no_grad():
            first, second = (F.normalize(view, dim=-1) for view in views(objective, model, held_out))
        similarities = first @ second.t()
        own, others = similarities.diag(), similarities.fill_diagonal_(-1.0).max(1).values
        return (own - others).mean().item()

    before = margin()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for step in range(100):
        generator = made.generator(step)
        words = torch.randint(len(SPECIAL_TOKENS), VOCABULARY, (ROWS, LENGTH), generator=generator)
        first, second = objective.views(model, Text(words, None), generator, torch.float32)
        (info_nce(first, second, 0.05) / ROWS).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert margin() > before + 0.1


def test_one_window_has_none_to_be_told_from() -> None:
    """Which is an error in training, and no loss at the end of held-out text."""
    objective, model = built()
    with pytest.raises(StageError, match=r"pretrain\.batch_size: .*2 or more"):
        objective.flops(made.ENCODER, 1, LENGTH)
    assert run(objective, model.eval(), ids(1, LENGTH))["contrastive"].total.item() == 0
