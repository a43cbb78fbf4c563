"""What linear maps are given on training texts; padding is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stages.compress.base import Material

BATCH = 32

Seen = Callable[[str, Tensor], None]
"""What is done with the inputs of a map by name, (tokens, width) in fp32."""


@torch.no_grad()
def watch(model: nn.Module, maps: Mapping[str, nn.Module], material: Material, examples: int, seen: Seen) -> None:
    """Run the model on some training examples, batch by batch."""
    for batch in material.batches(examples, BATCH):
        with _watching(maps, batch.attention_mask.bool(), seen):
            model(batch.input_ids, batch.attention_mask, torch.float32)


def moments(model: nn.Module, maps: Mapping[str, nn.Module], material: Material, examples: int) -> dict[str, Tensor]:
    """E[x xᵀ] of the inputs of each map that texts reach, (width, width) in fp64."""
    totals: dict[str, Tensor] = {}
    counts = dict.fromkeys(maps, 0)

    def add(name: str, rows: Tensor) -> None:
        product = (rows.T @ rows).double()
        totals[name] = totals[name] + product if name in totals else product
        counts[name] += len(rows)

    watch(model, maps, material, examples, add)
    return {name: total / counts[name] for name, total in totals.items()}


@contextmanager
def _watching(maps: Mapping[str, nn.Module], real: Tensor, seen: Seen) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _, given: seen(name, _real(given[0], real).float())

    handles = [module.register_forward_pre_hook(hook(name)) for name, module in maps.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _real(given: Tensor, real: Tensor) -> Tensor:
    """Those at real tokens; of what is not of tokens, all."""
    if given.ndim == 3 and given.shape[:2] == real.shape:
        return given[real.to(given.device)]
    return given.reshape(-1, given.shape[-1])
