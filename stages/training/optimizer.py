"""Which parameters are stepped by which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from stages.training.muon import Muon

Named = tuple[str, nn.Parameter]

MOMENTUM = 0.9
"""Of stochastic gradient descent."""


class Group(NamedTuple):
    """Parameters that are stepped alike."""

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float


RULES: dict[str, Callable[[list[dict[str, object]]], torch.optim.Optimizer]] = {
    "adamw": lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.999), fused=True),
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=MOMENTUM),
}
"""What moves weights by their gradients: AdamW (Loshchilov & Hutter 2019), or plain descent with momentum."""


@dataclass
class Optimizers:
    """Several optimizers stepped as one, all following one schedule."""

    parts: list[torch.optim.Optimizer]

    def __post_init__(self) -> None:
        for group in self.groups():
            group["peak_lr"] = group["lr"]

    def groups(self) -> Iterable[dict[str, object]]:
        """All parameter groups."""
        return (group for part in self.parts for group in part.param_groups)

    def step(self, factor: float) -> None:
        """Step every part at ``factor`` times its peak learning rate, and clear the gradients."""
        for group in self.groups():
            group["lr"] = group["peak_lr"] * factor  # type: ignore[operator]
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)


def muon_adamw(
    model: nn.Module, *, learning_rate: float, matrix_learning_rate: float, weight_decay: float, dtype: torch.dtype
) -> Optimizers:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    Muon orthogonalises each matrix's momentum (Jordan et al. 2024); the embedding table, whose rows are
    touched rarely, and the norms stay with AdamW, without weight decay on the norms. ``dtype`` is what Muon
    computes in.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if _is_matrix(name, p)]
    others = [(name, p) for name, p in named if not _is_matrix(name, p)]
    muon = Muon(matrices, matrix_learning_rate, dtype)
    return Optimizers([muon, _adamw(others, learning_rate, weight_decay)])


def adamw(model: nn.Module, *, learning_rate: float, weight_decay: float) -> Optimizers:
    """AdamW for everything that is trained; no weight decay on norms and biases."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return Optimizers([_adamw(named, learning_rate, weight_decay)])


def grouped(rule: str, groups: Sequence[Group]) -> Optimizers:
    """One of `RULES` for all groups, each with a rate and a weight decay of its own."""
    described = [
        {"params": group.parameters, "lr": group.learning_rate, "weight_decay": group.weight_decay} for group in groups
    ]
    return Optimizers([RULES[rule](described)])


def _is_matrix(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and "embedding" not in name


def _adamw(named: list[Named], learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    decayed = [p for _, p in named if p.ndim >= 2]
    plain = [p for _, p in named if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate, betas=(0.9, 0.999), fused=True)
