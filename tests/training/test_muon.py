"""Muon against PyTorch's own and against the singular value decomposition."""

from __future__ import annotations

import pytest
import torch

from stages.training.muon import Muon, orthogonalize

SHAPES = [(48, 16), (16, 48), (16, 16)]


def stepped(kind: str, dtype: torch.dtype, steps: int) -> list[torch.Tensor]:
    """Matrices of all shapes, two of each, after some steps on the same gradients."""
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES * 2]
    optimizer: torch.optim.Optimizer = (
        Muon(matrices, 0.02, dtype)
        if kind == "ours"
        else torch.optim.Muon(matrices, lr=0.02, weight_decay=0.0, momentum=0.95, adjust_lr_fn="original")
    )
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=generator)
        optimizer.step()
    return [matrix.detach() for matrix in matrices]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_steps_equal_those_of_torch(dtype: torch.dtype) -> None:
    """Up to the rounding of bf16, over several steps, momentum included; a weight moves by about 0.01 in all."""
    for ours, peer in zip(stepped("ours", dtype, 5), stepped("torch", dtype, 5), strict=True):
        torch.testing.assert_close(ours, peer, atol=1e-3, rtol=0.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    """The directions are those of the polar factor; only the lengths are approximate, as the source says."""
    matrix = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    lengths = left.mT @ orthogonalize(matrix, torch.float32) @ right.mT
    diagonal = lengths.diagonal(dim1=-2, dim2=-1)
    assert ((diagonal > 0.6) & (diagonal < 1.3)).all()
    torch.testing.assert_close(lengths, torch.diag_embed(diagonal), atol=1e-4, rtol=0.0)


def test_a_matrix_without_gradient_stays() -> None:
    """Frozen parts of a model are not touched by the momentum of others."""
    still, moved = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    moved.grad = torch.eye(4)
    Muon([still, moved], 0.1, torch.float32).step()
    assert torch.equal(still, torch.ones(4, 4))
    assert not torch.equal(moved, torch.ones(4, 4))
