"""Rotary position embedding (Su et al. 2021, RoFormer, §3.2.2), halves rotated as in GPT-NeoX."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def tables(length: int, head_dim: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine, fp32 (length, head_dim).

    The sine is negative in the first half, so that rotating is ``x · cos + swap(x) · sin`` with
    ``swap`` exchanging the halves: two contiguous passes instead of four strided ones.
    """
    frequencies = theta ** -(torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim)
    angles = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequencies
    sin = angles.sin()
    return torch.cat((angles.cos(), angles.cos()), dim=-1), torch.cat((-sin, sin), dim=-1)


class _Rotate(torch.autograd.Function):
    """The rotation and its inverse as its gradient: nothing but the tables is kept for backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grad, cos, -sin), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return (x * cos).addcmul_(x.roll(x.shape[-1] // 2, -1), sin)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys (…, length, head_dim) by their positions."""
    return _Rotate.apply(x, cos, sin)
