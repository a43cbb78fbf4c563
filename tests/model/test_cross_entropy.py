"""The fused loss against PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from stages.model.cross_entropy import SLICE_ON_CPU, linear_cross_entropy

VOCABULARY = 4096
ROWS = SLICE_ON_CPU // VOCABULARY


def inputs(rows: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, weight and labels that need gradients."""
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 24, generator=generator).to(dtype).requires_grad_()
    weight = (torch.randn(VOCABULARY, 24, generator=generator) * 0.3).requires_grad_()
    return hidden, weight, torch.randint(0, VOCABULARY, (rows,), generator=generator)


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 7])
def test_loss_and_gradients_equal_the_plain_way(rows: int) -> None:
    """Across slices, and with a factor on the loss as a mean has it."""
    hidden, weight, labels = inputs(rows)
    loss = linear_cross_entropy(hidden, weight, labels) / rows
    loss.backward()
    ours = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    reference = F.cross_entropy(hidden @ weight.t(), labels)
    reference.backward()
    torch.testing.assert_close(loss, reference)
    for ours_grad, reference_grad in zip(ours, (hidden.grad, weight.grad), strict=True):
        torch.testing.assert_close(ours_grad, reference_grad, atol=1e-6, rtol=1e-4)


def test_without_gradients_the_loss_is_exact() -> None:
    """The reported loss of bf16 states is computed in fp32."""
    hidden, weight, labels = inputs(700, torch.bfloat16)
    with torch.no_grad():
        ours = linear_cross_entropy(hidden, weight, labels)
        reference = F.cross_entropy(hidden.double() @ weight.double().t(), labels, reduction="sum")
    torch.testing.assert_close(ours.double(), reference, rtol=1e-6, atol=0)


def test_bf16_gradients_point_the_same_way() -> None:
    """Rounded, but not biased: cosine with the exact gradient above 0.999."""
    hidden, weight, labels = inputs(600, torch.bfloat16)
    linear_cross_entropy(hidden, weight, labels).backward()
    exact_hidden = hidden.detach().float().requires_grad_()
    exact_weight = weight.detach().clone().requires_grad_()
    F.cross_entropy(exact_hidden @ exact_weight.t(), labels, reduction="sum").backward()
    for rounded, exact in ((hidden.grad, exact_hidden.grad), (weight.grad, exact_weight.grad)):
        assert rounded is not None
        assert exact is not None
        assert F.cosine_similarity(rounded.float().flatten(), exact.flatten(), dim=0) > 0.999
