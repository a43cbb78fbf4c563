"""Leaving out at random, by draws that can be repeated."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from stages.model.dropout import LEVELS, Dropout


def _seeded(probability: float, seed: int = 5) -> Dropout:
    return Dropout(probability, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.999])
def test_a_share_is_left_out_and_the_rest_scaled_up(probability: float) -> None:
    """That share, to what chance allows; so that the mean stays what it was."""
    x = torch.full((200, 499), 3.0)
    dropped = _seeded(probability)(x)
    kept = dropped != 0
    allowed = 4 * math.sqrt(probability * (1 - probability) / x.numel()) + 1 / LEVELS
    assert kept.float().mean().item() == pytest.approx(1 - probability, abs=allowed)
    assert dropped[kept].unique().tolist() == pytest.approx([3 / (1 - probability)], rel=1 / LEVELS / (1 - probability))


def test_what_is_left_out_says_nothing_of_its_neighbours() -> None:
    """Neither the next ones, which share a word with it, nor those of the next draw from the generator."""
    dropout, x = _seeded(0.3), torch.ones(100_000)
    first, second = dropout(x) != 0, dropout(x) != 0
    pairs = {f"{gap} on": (first[:-gap], first[gap:]) for gap in (1, 2, 3, 4, 8)} | {"next draw": (first, second)}
    for name, (one, other) in pairs.items():
        table = [[int(((one == a) & (other == b)).sum()) for b in (True, False)] for a in (True, False)]
        assert stats.chi2_contingency(table).pvalue > 1e-4, name


def test_all_levels_are_as_likely() -> None:
    """Both of a draw's bytes: a generator that left the sign out, say, would leave out twice what was asked."""
    levels = _seeded(0.5)._levels(200_000).long() + LEVELS // 2
    for byte in (levels // 256, levels % 256):
        assert stats.chisquare(torch.bincount(byte, minlength=256)).pvalue > 1e-4


def test_the_same_seed_draws_the_same() -> None:
    """Whatever the number of elements is; and another seed does not."""
    for count in (1, 2, 3, 4, 5, 1001):
        x = torch.ones(count)
        assert torch.equal(_seeded(0.3)(x), _seeded(0.3)(x))
    assert not torch.equal(_seeded(0.3)(x), _seeded(0.3, seed=6)(x))


def test_gradients_pass_where_states_do() -> None:
    x = torch.randn(50, 7, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    dropped = _seeded(0.4)(x)
    dropped.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, dropped)
    assert dropped.dtype == torch.bfloat16


def test_without_a_probability_nothing_is_drawn() -> None:
    x, dropout = torch.ones(3), _seeded(0.0)
    assert dropout.generator is not None
    before = dropout.generator.get_state()
    assert dropout(x) is x
    assert torch.equal(dropout.generator.get_state(), before)
