"""Linear layer and cross-entropy in one step, without ever holding all logits.

Over a vocabulary of thousands, logits are by far the largest tensor of a small model. They are made,
turned into their gradient and used in slices of rows that stay in the processor's cache; backward then
only scales what forward left behind. The idea is that of "Cut Your Losses in Large-Vocabulary Language
Models" (Wijmans et al. 2024, §4), without its filtering of small gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ROWS = 512


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        cast = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros(weight.shape[::-1], dtype=weight.dtype, device=weight.device)
        nll = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(hidden), ROWS):
            rows, targets = hidden[start : start + ROWS], labels[start : start + ROWS]
            index = torch.arange(len(rows), device=rows.device)
            probabilities = (rows @ cast.t()).softmax(-1)
            of_targets = probabilities[index, targets]
            nll -= of_targets.float().clamp_min(torch.finfo(torch.float32).tiny).log().sum()
            # softmax(z) - onehot(y) is the gradient of the loss with respect to the logits
            probabilities[index, targets] = of_targets - 1
            torch.mm(probabilities, cast, out=grad_hidden[start : start + ROWS])
            grad_weight += rows.t().contiguous() @ probabilities
        ctx.save_for_backward(grad_hidden, grad_weight)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad.to(grad_hidden.dtype), (grad_weight * grad).t(), None


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
    for start in range(0, len(hidden), ROWS):
        logits = hidden[start : start + ROWS].float() @ weight.t()
        nll += torch.nn.functional.cross_entropy(logits, labels[start : start + ROWS], reduction="sum")
    return nll
