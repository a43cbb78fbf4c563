"""Rotary positions: their defining property, and their gradient."""

from __future__ import annotations

import torch

from stages.model import rotary


def test_scores_depend_on_distance_alone() -> None:
    """RoFormer's equation 11: ⟨R_m q, R_n k⟩ is a function of n − m."""
    cos, sin = rotary.tables(40, 16, 10_000.0, torch.device("cpu"))
    query, key = torch.randn(2, 16, generator=torch.Generator().manual_seed(0)).split(1)
    scores = rotary.rotate(query.expand(40, 16), cos, sin) @ rotary.rotate(key.expand(40, 16), cos, sin).t()
    for offset in range(-39, 40):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)


def test_gradient_is_exact() -> None:
    """Against finite differences in double precision."""
    cos, sin = (table.double() for table in rotary.tables(5, 6, 10_000.0, torch.device("cpu")))
    x = torch.randn(2, 5, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: rotary.rotate(value, cos, sin), (x,))
