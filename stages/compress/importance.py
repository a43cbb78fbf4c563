"""How much each unit of a model matters (`stages.compress.units`): by its weights, or by what it does on real examples.

``l1``, ``l2``: the norm of all its weights (Li et al. 2017, Pruning Filters for Efficient ConvNets, §3.1).
``activation``: the mean norm of what it hands on, over the tokens of examples (Hu et al. 2016, Network Trimming, §3).
``taylor``: how much the loss would change without it, to first order: the mean over examples of
|Σ activation · gradient| (Michel et al. 2019, Are Sixteen Heads Really Better than One?, equation 2; Molchanov et al.
2019, Importance Estimation, §3.1, whose gate is at the same place).

Units of layers whose states the head does not read matter nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from stages.compress.base import Material
from stages.compress.units import Block
from stages.finetune.examples import Batch
from stages.model.classifier import Classifier

Importance = Literal["l1", "l2", "activation", "taylor"]

BATCH = 32


def measure(
    model: Classifier, blocks: Sequence[Block], importance: Importance, material: Material, examples: int
) -> list[Tensor]:
    """Of each block how much each of its units matters, (units,); ``examples``: how many to look at."""
    if importance in ("l1", "l2"):
        return [block.weights().norm(p=int(importance[1]), dim=1) for block in blocks]
    observe = _taylor if importance == "taylor" else _activation
    totals, count = [torch.zeros(block.units, dtype=torch.float64) for block in blocks], 0
    for batch in material.batches(examples, BATCH):
        values, over = observe(model, blocks, batch, material)
        count += over
        for total, value in zip(totals, values, strict=True):
            total += value.double()
    return [total / count for total in totals]


@torch.no_grad()
def _activation(
    model: Classifier, blocks: Sequence[Block], batch: Batch, material: Material
) -> tuple[list[Tensor], int]:
    """The summed norms of each unit at real tokens, and how many those are."""
    with _watching(blocks) as seen:
        model(batch.input_ids, batch.attention_mask, material.dtype)
    lengths = batch.attention_mask.sum(1)
    values = []
    for block in blocks:
        if (handed := seen.get(block.name)) is None:
            values.append(torch.zeros(block.units))
            continue
        virtual = handed.shape[1] - batch.input_ids.shape[1]  # they stand before a text, padding behind it
        real = torch.arange(handed.shape[1]) < lengths[:, None] + virtual
        values.append((_by_unit(handed, block).norm(dim=-1) * real[..., None]).sum((0, 1)))
    return values, int(lengths.sum())


def _taylor(model: Classifier, blocks: Sequence[Block], batch: Batch, material: Material) -> tuple[list[Tensor], int]:
    """The summed first-order changes of the loss without each unit, and of how many examples."""
    with _watching(blocks) as seen:
        outputs = model(batch.input_ids, batch.attention_mask, material.dtype)
    loss = material.family.loss(outputs, batch.labels)
    given = torch.autograd.grad(loss, list(seen.values()), allow_unused=True) if seen else ()
    gradients = dict(zip(seen, given, strict=True))
    changes = []
    for block in blocks:
        if (gradient := gradients.get(block.name)) is None:
            changes.append(torch.zeros(block.units))
            continue
        changed = _by_unit(seen[block.name].detach(), block) * _by_unit(gradient, block)
        changes.append(changed.sum((1, 3)).abs().sum(0))
    return changes, len(batch.input_ids)


def _by_unit(handed: Tensor, block: Block) -> Tensor:
    """(batch, length, units · width) -> (batch, length, units, width), fp32."""
    return handed.float().unflatten(-1, (block.units, block.width))


@contextmanager
def _watching(blocks: Sequence[Block]) -> Iterator[dict[str, Tensor]]:
    """What each block hands to the map that writes, by its name, once the model has run."""
    seen: dict[str, Tensor] = {}
    handles = [
        block.writes.register_forward_pre_hook(lambda _, given, name=block.name: seen.update({name: given[0]}))
        for block in blocks
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
