"""Draws depend on seed, purpose and position, and on nothing else."""

from __future__ import annotations

import itertools

import torch

from stages.training import randomness


def test_streams_are_reproducible_and_distinct() -> None:
    """Equal coordinates give equal draws; any other coordinate gives others."""
    keys = list(itertools.product((0, 1), ("order", "mask"), (0, 1, 2)))
    draws = [torch.rand(4, generator=randomness.torch_generator(*key)) for key in keys]
    torch.rand(100)  # global state must not matter
    again = [torch.rand(4, generator=randomness.torch_generator(*key)) for key in keys]
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    assert len({tuple(draw.tolist()) for draw in draws}) == len(keys)
