"""A batch in parts of similar lengths: drawn as a whole, padded part by part.

Batches that are themselves of similar lengths have as little padding, but are no fair sample where lengths tell of
labels: in STS-B, whose longer pairs are more alike, their mean labels vary twice as much as those of random batches,
and tuned models score lower. So any texts make a batch, those of a part are alike, and gradients add up over parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.training import device

PASS = {"cpu": 128, "cuda": 2**20}
"""What one more pass over a model costs, in tokens; a batch does not fill a GPU, so that it is never worth it there."""

Places = NDArray[np.int64]


def split(places: Places, lengths: Places) -> list[Places]:
    """Examples at these places, with these lengths, in the parts that together cost the least; the longest come first.

    A part costs a pass, and as many tokens as its longest example for each one. Examples of neighbouring lengths are
    always together in a cheapest choice, which is found by dynamic programming over the sorted lengths.
    """
    order = np.argsort(lengths, kind="stable")
    costs, starts = np.zeros(len(order) + 1), np.zeros(len(order) + 1, dtype=np.int64)
    for end, longest in enumerate(lengths[order], 1):
        of_last = costs[:end] + np.arange(end, 0, -1) * longest + PASS[device.find().type]
        starts[end] = of_last.argmin()
        costs[end] = of_last[starts[end]]
    parts, end = [], len(order)
    while end:
        parts.append(places[order[starts[end] : end]])
        end = starts[end]
    return parts


def add_up(
    model: nn.Module, parts: Sequence[Places], losses: Callable[[Places], Mapping[str, Tensor]], weight: float
) -> dict[str, Tensor]:
    """The summed losses of all parts; all parts but the last have left their gradients behind, over ``weight``."""
    done: dict[str, Tensor] = {}
    *before, last = parts
    with _sparse_tables(model):
        for part in before:
            totals = losses(part)
            (torch.stack([*totals.values()]).sum() / weight).backward()
            done = {name: total.detach() + done.get(name, 0.0) for name, total in totals.items()}
    return {name: total + done.get(name, 0.0) for name, total in losses(last).items()}


@contextmanager
def _sparse_tables(model: nn.Module) -> Iterator[None]:
    """Gradients of embeddings have only the rows that a part reads.

    A table that each part fills with zeros anew took a fifth of a step. A gradient of all rows, as the last part's is,
    makes of the sum one of all rows, so that nobody else has to know.
    """
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding) and not module.sparse]
    for table in tables:
        table.sparse = True
    try:
        yield
    finally:
        for table in tables:
            table.sparse = False
