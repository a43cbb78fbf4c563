"""One model trained by several processes at once, each on a GPU of its own (Li et al. 2020, PyTorch Distributed, §3).

Every process holds the whole model and learns from its own share of each batch; gradients are averaged while they are
computed, so that all make the same step. The first process alone measures, reports and writes. Alone, a process is the
first of one, and nothing here does anything.

Models are small enough for one GPU each (the largest preset takes 2 GB with its optimizers), so that nothing is gained
by spreading their weights as well (FSDP).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from stages.training.loss import Loss

if TYPE_CHECKING:  # the loop imports this module
    from stages.training.loop import Workload

PATIENCE = timedelta(hours=6)
"""How long the others wait while the first one measures."""

Value = TypeVar("Value")


def rank() -> int:
    """The number of this process; that of the first is 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes train the model."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(batch: NDArray[np.int64]) -> NDArray[np.int64]:
    """What of a batch this process learns from; the first row if `is_spare`."""
    return batch[:1] if is_spare(batch) else np.array_split(batch, world_size())[rank()]


def is_spare(batch: NDArray[np.int64]) -> bool:
    """Whether a batch has too few rows for this process; what it makes of the first row counts for nothing."""
    return rank() >= len(batch)


def position(step: int) -> int:
    """The position of this process's draws at a step, which no other process or step has."""
    return step * world_size() + rank()


def average(number: float) -> float:
    """Of what each process says."""
    if world_size() == 1:
        return number
    total = torch.tensor(number, dtype=torch.float64, device=_device())
    distributed.all_reduce(total)
    return total.item() / world_size()


def of_first(value: Callable[[], Value]) -> Value:
    """What the first process finds; the others wait for it, and compute nothing."""
    if world_size() == 1:
        return value()
    told = [value() if rank() == 0 else None]
    distributed.broadcast_object_list(told, device=_device())
    return told[0]  # type: ignore[return-value]


def gathered(rows: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, which have equally many, and the place of this one's first among them.

    Gradients find their way back to whoever made a row.
    """
    if world_size() == 1:
        return rows, 0
    from torch.distributed._functional_collectives import all_gather_single_autograd

    assert distributed.group.WORLD is not None
    return all_gather_single_autograd(rows, 0, distributed.group.WORLD), rank() * len(rows)


def shared(workload: Workload) -> Workload:
    """The same for all processes that train the model: they begin with the first one's weights, and stay alike."""
    return workload if world_size() == 1 else Shared(workload)


class Shared:
    """A workload of which each process learns a share."""

    def __init__(self, workload: Workload) -> None:
        self.model, self._workload = workload.model, workload
        self._replica = DistributedDataParallel(
            LossOf(workload), forward_sync_buffers=False, find_unused_parameters=True
        )

    def loss(self, step: int) -> Loss:
        """That of this process's share, over the average number of targets: the average of all is that of the batch.

        Its gradients are averaged over all processes as they are computed.
        """
        loss: Loss = self._replica(step)
        terms = {name: replace(term, count=average(term.count)) for name, term in loss.terms.items()}
        return replace(loss, terms=terms)

    def evaluate(self) -> dict[str, float]:
        """What the first process measures."""
        return of_first(self._workload.evaluate)


class LossOf(nn.Module):
    """A workload's loss as a module, for of modules gradients are averaged."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.model, self._loss = workload.model, workload.loss

    def forward(self, step: int) -> Loss:
        """The loss of this process's share."""
        return self._loss(step)


def leave() -> None:
    """Take no further part; the first process may have work left that the others know nothing of."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _device() -> torch.device:
    """Where what is exchanged has to lie."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
