"""The smallest weights become zero (Han et al. 2015, Learning both Weights and Connections, §3.1).

Of single weights L1 and L2 norm give the same order, so there is no choice between them here. Either in each matrix
alike, or in all of them together, so that some keep more than others (``scope``); or of every M weights in a row at
most N stay, which some hardware computes faster (Mishra et al. 2021, Accelerating Sparse Deep Neural Networks, §3).
The zeros stay in matrices as large as before: neither bytes nor time are gained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from stages.compress.base import Material, Shape
from stages.compress.pruning import Masks, Pruning, Sparsity
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier


class Matrix(NamedTuple):
    """A linear map's weights; GPT-2 has them as (inputs, outputs)."""

    name: str
    parameter: nn.Parameter
    is_transposed: bool

    @property
    def rows(self) -> Tensor:
        """(outputs, inputs), in the same memory."""
        weight = self.parameter.detach()
        return weight.T if self.is_transposed else weight


class PruneMagnitude(Pruning):
    """All linear maps of the backbone; embeddings, norms, biases and the head stay."""

    sparsifies = True

    class Options(Pruning.Options):
        """``sparsity``: share of weights that become zero; or ``pattern``, ``N:M`` along the inputs."""

        sparsity: Sparsity | None = None
        pattern: Annotated[str, Field(pattern=r"^[1-9]\d*:[1-9]\d*$")] | None = None
        scope: Literal["matrix", "global"] = "matrix"

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            if (self.sparsity is None) == (self.pattern is None):
                raise ValueError("give one of sparsity, pattern")
            if self.pattern and (self.rounds > 1 or self.scope != "matrix"):
                raise ValueError("pattern: it holds in every group at once, so that there are no rounds and no scope")
            if self.pattern and self.groups[0] > self.groups[1]:
                raise ValueError(f"pattern: {self.pattern} would keep more weights than there are")
            return self

        @property
        def groups(self) -> tuple[int, int]:
            """N and M."""
            kept, _, size = (self.pattern or "1:1").partition(":")
            return int(kept), int(size)

    @property
    def share(self) -> float:
        return self.options.sparsity or 0.0

    def begin(self, model: Classifier) -> list[Matrix]:
        """All that are pruned."""
        found = _matrices(model)
        _, size = self.options.groups
        for matrix in found:
            if (inputs := matrix.rows.shape[1]) % size:
                raise self.refuse(
                    f"pattern: the {inputs} inputs of {matrix.name} are no multiple of {size}: take another one"
                )
        return found

    @torch.no_grad()
    def prune(self, model: Classifier, start: list[Matrix], share: float, material: Material) -> Masks:
        rows = [matrix.rows for matrix in start]
        if self.options.pattern:
            masks = [fine_grained(matrix, *self.options.groups) for matrix in rows]
        elif self.options.scope == "global":
            masks = together(rows, share)
        else:
            masks = [mask for matrix in rows for mask in together([matrix], share)]
        for matrix, mask in zip(rows, masks, strict=True):
            matrix.mul_(mask)
        return {
            matrix.parameter: mask.T if matrix.is_transposed else mask
            for matrix, mask in zip(start, masks, strict=True)
        }

    def shape(self, model: Answerer, shape: Shape) -> None:
        """As it was."""


def together(matrices: Sequence[Tensor], share: float) -> list[Tensor]:
    """Of each matrix 0 where a weight is among the smallest, ``share`` of all, and 1 elsewhere."""
    sizes = torch.cat([matrix.detach().abs().flatten() for matrix in matrices])
    mask = torch.ones_like(sizes)
    mask[sizes.argsort(stable=True)[: round(share * len(sizes))]] = 0
    parts = mask.split([matrix.numel() for matrix in matrices])
    return [part.view(matrix.shape) for part, matrix in zip(parts, matrices, strict=True)]


def fine_grained(matrix: Tensor, kept: int, size: int) -> Tensor:
    """1 at the ``kept`` largest of every ``size`` neighbours in a row, 0 elsewhere; (outputs, inputs)."""
    groups = matrix.detach().abs().unflatten(1, (-1, size))
    order = groups.argsort(dim=-1, descending=True, stable=True)
    mask = torch.zeros_like(groups).scatter(-1, order[..., :kept], 1.0)
    return mask.flatten(1)


def _matrices(model: Classifier) -> list[Matrix]:
    from transformers.pytorch_utils import Conv1D

    return [
        Matrix(name, model.get_parameter(f"{name}.weight"), isinstance(module, Conv1D))
        for name, module in model.named_modules()
        if name.startswith("transformer.") and isinstance(module, nn.Linear | Conv1D)
    ]
