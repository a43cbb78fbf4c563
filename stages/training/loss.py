"""A batch's loss, as sums that can be weighted rightly whatever the size of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One part of a loss.

    Attributes:
        total: summed loss, differentiable scalar.
        count: targets it is summed over; of several processes' shares of a batch the average of them.
        weight: what its mean counts in the whole.
    """

    total: Tensor
    count: float
    weight: float = 1.0

    @property
    def mean(self) -> Tensor:
        """The loss of one target."""
        return self.total / self.count


@dataclass(frozen=True)
class Loss:
    """All parts of a batch's loss, and what the batch costs.

    Attributes:
        terms: by name; the first is the one that batches of unequal size are weighted by.
        tokens: tokens the whole batch took from the budget.
        flops: floating-point operations the step took from the budget; 0 where they are not counted.
    """

    terms: Mapping[str, Term]
    tokens: int
    flops: int = 0

    @property
    def value(self) -> Tensor:
        """What is minimised: the weighted sum of the terms' means."""
        return torch.stack([term.weight * term.mean for term in self.terms.values()]).sum()

    @property
    def count(self) -> float:
        """Targets of the first term."""
        return next(iter(self.terms.values())).count
