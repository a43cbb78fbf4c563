"""Both architectures against a run that is done anew for every token, and against what documents may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from stages.model.transformer import EncoderDecoder, Memory
from stages.pretrain import source_target
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Text
from stages.pretrain.source_target import SHARED, Pairs
from stages.tokenizer.special import CLS_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS
from stages.training.loss import Term
from tests.pretrain import made, test_objectives
from tests.pretrain.corpus import INSIDE, VOCABULARY
from tests.pretrain.test_masking import ids

NONE = -2
ARCHITECTURES = ("encoder_decoder", "prefix_decoder")
OTHERWISE = {
    "span_corruption": "prefix_decoder",
    "denoising": "prefix_decoder",
    "mixture_of_denoisers": "encoder_decoder",
}
"""The objectives that know both, and the one that is not their default."""

SOURCE = [[SHARED, 0, 0, 0, 1, 1, 1, 3], [0, 0, 1, 1, 1, 1, 3, 3]]
TARGET = [[0, 0, 1, 1, 2, 2, 3], [0, 1, 2, 2, 2, 3, 3]]
"""Documents of two pairs: one begins with a token that all see, and the other's source has nothing of document 2."""


def model_of(architecture: str) -> Any:
    return made.model_of(made.objective_of("span_corruption", architecture=architecture), disturbed=True)


def made_pairs(*, told_apart: bool, other: int = NONE) -> Pairs:
    """Random pairs; the tokens of document ``other`` are others."""
    sides = []
    for documents in (torch.tensor(SOURCE), torch.tensor(TARGET)):
        first, second = (
            torch.randint(len(SPECIAL_TOKENS), VOCABULARY, documents.shape, generator=made.generator(seed))
            for seed in (3, 4)
        )
        sides.append(Text(torch.where(documents == other, second, first), documents if told_apart else None))
    return Pairs(*sides)


def visible(queries: list[int], keys: list[int]) -> torch.Tensor:
    """(1, queries, keys), bool: one by one."""
    return torch.tensor([[[key in (query, SHARED) for key in keys] for query in queries]])


def next_state(model: Any, pairs: Pairs, row: int, done: int) -> torch.Tensor:
    """What the token behind ``done`` of the target is predicted from, by a run over what stands before it alone."""
    source, target = (side.input_ids[row : row + 1] for side in pairs)
    target = target[:, :done]
    sources, targets = ([0] * 8, [0] * 7) if pairs.source.documents is None else (SOURCE[row], TARGET[row])
    if isinstance(model, EncoderDecoder):
        states = model.model(source, visible(sources, sources))[-1]
        inputs = torch.cat([torch.tensor([[CLS_ID]]), target], 1)
        shifted = targets[:1] + targets[:done]
        memory = Memory(states, visible(shifted, sources))
        return model.decode(inputs, memory, visible(shifted, shifted))[:, -1]
    whole = sources + targets[:done]
    mask = visible(whole, whole)
    for query in range(len(whole)):
        mask[:, query, max(query + 1, len(sources)) :] = False
    return model.model(torch.cat([source, target], 1), mask, causal=False)[-1][:, -1]


@pytest.mark.parametrize("told_apart", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_is_the_likelihood_of_one_token_after_the_other(architecture: str, told_apart: bool) -> None:
    """Loss and gradients are those of predicting every token in a run of its own."""
    model, pairs = model_of(architecture), made_pairs(told_apart=told_apart)
    states = [next_state(model, pairs, row, done) for row in range(2) for done in range(7)]
    logits = model.logits(torch.cat(states))
    reference = F.cross_entropy(logits, pairs.target.input_ids.flatten(), reduction="sum")
    term = source_target.loss(model, pairs, torch.float32)
    assert term.count == 14
    torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-4)
    weights = list(model.parameters())
    found, expected = (torch.autograd.grad(total, weights) for total in (term.total, reference))
    for gradient, other in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("document", [0, 1, 2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_documents_that_are_told_apart_know_nothing_of_each_other(architecture: str, document: int) -> None:
    """Other tokens in one of them change the states of its own tokens and of no others, those without source too."""
    model = model_of(architecture)
    for told_apart in (True, False):
        states = [predicting(model, made_pairs(told_apart=told_apart, other=other)) for other in (NONE, document)]
        changed = ((states[0] - states[1]).abs() > 1e-5).any(-1)
        own = owners(architecture, torch.tensor(SOURCE), torch.tensor(TARGET)) == document
        assert (changed & ~own).any() != told_apart
        assert changed[own].any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_documents_see_a_shared_token(architecture: str) -> None:
    """Another one changes the states of all in its row."""
    model, pairs = model_of(architecture), made_pairs(told_apart=True)
    other = made_pairs(told_apart=True, other=SHARED)
    changed = ((predicting(model, pairs) - predicting(model, other)).abs() > 1e-5).any(-1)
    assert torch.equal(changed, torch.tensor([True, False])[:, None].expand(-1, 7))


def predicting(model: Any, pairs: Pairs) -> torch.Tensor:
    """The states that the targets are predicted from (batch, target_length, hidden_size)."""
    seen: list[torch.Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        source_target.loss(model, pairs, torch.float32)
    hook.remove()
    states = torch.zeros(*pairs.target.input_ids.shape, seen[0].shape[-1])
    states[pairs.target.input_ids != PAD_ID] = seen[0]
    return states


def owners(architecture: str, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The document of the token at which each token of the target is predicted."""
    start = target[:, :1] if architecture == "encoder_decoder" else source[:, -1:]
    return torch.cat([start, target[:, :-1]], 1)


def pairs_of(objective: Objective[Any], text: Text) -> list[Pairs]:
    """What an objective makes of a text before it takes the loss."""
    made_of, loss = [], source_target.loss

    def watched(model: Any, pairs: Pairs, dtype: torch.dtype) -> Term:
        made_of.append(pairs)
        return loss(model, pairs, dtype)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(source_target, "loss", watched)
        objective.terms(made.model_of(objective), text, made.generator(), torch.float32)
    return made_of


def documents_of(input_ids: torch.Tensor) -> torch.Tensor:
    """Each ends in [SEP]."""
    ends = input_ids == SEP_ID
    return ends.cumsum(1) - ends.long()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", OTHERWISE)
def test_objectives_carry_documents_along(name: str, architecture: str) -> None:
    """Other words in the second document of each window change no state that belongs to another."""
    objective, text = made.objective_of(name, architecture=architecture), ids(8, 32)
    text[:, 20] = SEP_ID
    documents, start = documents_of(text), INSIDE.stop
    others = torch.where((documents == 1) & (text >= start), start + (text - start + 1) % (VOCABULARY - start), text)
    model = made.model_of(objective, disturbed=True)
    windows = zip(*(pairs_of(objective, Text(each, documents)) for each in (text, others)), strict=True)
    touched = []
    for pairs, changed in windows:
        assert pairs.source.documents is not None
        assert pairs.target.documents is not None
        differs = ((predicting(model, pairs) - predicting(model, changed)).abs() > 1e-5).any(-1)
        own = owners(architecture, pairs.source.documents, pairs.target.documents) == 1
        assert not (differs & ~own).any()
        touched.append(differs[own])
    assert torch.cat(touched).float().mean() > 0.8


@pytest.mark.parametrize(
    "check",
    [
        test_objectives.test_the_same_step_is_the_same_loss,
        test_objectives.test_it_costs_what_it_says,
        test_objectives.test_it_learns_one_batch_by_heart,
        test_objectives.test_it_learns_a_made_language,
        test_objectives.test_a_likelihood_has_perplexity_and_bits_per_byte,
    ],
)
@pytest.mark.parametrize("name", OTHERWISE)
def test_the_other_architecture_does_what_all_do(
    name: str, check: Callable[[str, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cost, determinism and learning, as of every objective's default."""
    monkeypatch.setitem(made.OPTIONS, name, {"architecture": OTHERWISE[name]})
    assert made.objective_of(name).architecture == OTHERWISE[name]
    check(name, tmp_path)


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_other_architecture_computes_where_the_model_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of its device."""
    monkeypatch.setitem(made.OPTIONS, name, {"architecture": OTHERWISE[name]})
    test_objectives.test_all_that_is_computed_is_computed_where_the_model_is(name, tmp_path, monkeypatch)
