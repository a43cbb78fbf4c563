"""Muon: momentum, orthogonalised (Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks).

The rule is that of `torch.optim.Muon`, which always iterates in bf16. A processor without bf16 instructions only
imitates that type, at a fifth of the speed of fp32; here the type is the caller's, and matrices of one shape are
iterated together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration takes singular values in (0, 1] to about 1; the source tunes them for speed."""

ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose singular values are all set to about one, for matrices only.

    Args:
        params: matrices, (rows, columns).
        lr: step size; of tall matrices √(rows / columns) times that.
        dtype: the type to iterate in.
        momentum: share of the running mean that a step keeps.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, dtype: torch.dtype, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Step every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for (rows, columns), parameters in by_shape.items():
                directions = torch.stack([self._direction(p, group["momentum"]) for p in parameters])
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                for parameter, update in zip(parameters, orthogonalize(directions, self._dtype), strict=True):
                    parameter.add_(update, alpha=-rate)

    def _direction(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        state, grad = self.state[parameter], parameter.grad
        assert grad is not None
        buffer = state.setdefault("momentum_buffer", torch.zeros_like(grad))
        buffer.lerp_(grad, 1 - momentum)
        return grad.lerp(buffer, momentum)


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Each matrix of (batch, rows, columns) with its singular values brought to about one, by Newton–Schulz.

    The result lies between 0.7 and 1.2 of the polar factor U Vᵀ in every direction that is not next to null.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).to(dtype)
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
