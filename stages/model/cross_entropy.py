"""Linear layer and cross-entropy in one step, without ever holding all logits.

Over a vocabulary of thousands, logits are by far the largest tensor of a small model. They are made,
turned into their gradient and used in slices of rows that stay in the processor's cache; backward then
only scales what forward left behind. The idea is that of "Cut Your Losses in Large-Vocabulary Language
Models" (Wijmans et al. 2024, §4), without its filtering of small gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

SLICE_ON_CPU, SLICE_ELSEWHERE = 2**21, 2**26
"""Logits held at once; on a CPU 4 MB of bf16: more leaves the caches, less makes products too small to be fast."""


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        cast = weight.to(hidden.dtype)
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.empty_like(weight)
        nll = torch.zeros((), dtype=torch.float32, device=hidden.device)
        slices = list(_slices(hidden, weight))
        if not slices:
            grad_weight.zero_()
        logits = hidden.new_empty(slices[0].stop if slices else 0, len(weight))
        probabilities = torch.empty_like(logits)
        for part in slices:
            rows, targets = hidden[part], labels[part]
            index = torch.arange(len(rows), device=rows.device)
            torch.mm(rows, cast.t(), out=logits[: len(rows)])
            gradient = torch.softmax(logits[: len(rows)], -1, out=probabilities[: len(rows)])
            of_targets = gradient[index, targets]
            nll -= of_targets.float().clamp_min(torch.finfo(torch.float32).tiny).log().sum()
            # softmax(z) - onehot(y) is the gradient of the loss with respect to the logits
            gradient[index, targets] = of_targets - 1
            torch.mm(gradient, cast, out=grad_hidden[part])
            _add_product(grad_weight, gradient.t(), rows, first=part.start == 0)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad.to(grad_hidden.dtype), grad_weight * grad, None


def _slices(hidden: Tensor, weight: Tensor) -> Iterator[slice]:
    """Rows whose logits are held at once, in order; the last slice may be shorter."""
    logits = SLICE_ON_CPU if hidden.device.type == "cpu" else SLICE_ELSEWHERE
    rows = max(1, logits // len(weight))
    return (slice(start, min(start + rows, len(hidden))) for start in range(0, len(hidden), rows))


def _add_product(total: Tensor, left: Tensor, right: Tensor, *, first: bool) -> None:
    """``total += left @ right``, the sum in the type of ``total``; it is yet empty if this is the ``first``."""
    if total.dtype == left.dtype:
        torch.addmm(total, left, right, beta=0 if first else 1, out=total)
    elif first:
        total.copy_(left @ right)
    else:
        total += left @ right


def linear_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Sum over rows of -log softmax(hidden · weightᵀ)[label], in nats, fp32 scalar.

    With gradients, in the precision of ``hidden``; without, logits and loss in fp32, so that what is
    reported does not carry the rounding of bf16 logits.

    Args:
        hidden: (rows, hidden_size), any float type; only the positions that have a target.
        weight: (vocab_size, hidden_size), fp32.
        labels: (rows,), int64.
    """
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        return _LinearCrossEntropy.apply(hidden, weight, labels)
    nll = torch.zeros((), dtype=torch.float32, device=hidden.device)
    for part in _slices(hidden, weight):
        probabilities = (hidden[part].float() @ weight.t()).softmax(-1)  # one pass; F.cross_entropy makes three
        of_targets = probabilities.gather(1, labels[part, None])
        nll -= of_targets.clamp_min(torch.finfo(torch.float32).tiny).log().sum()
    return nll
