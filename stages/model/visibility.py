"""Which positions may look at which: the only difference between encoder, decoder and prefix decoder."""

from __future__ import annotations

import torch
from torch import Tensor


def additive(
    length: int, attention_mask: Tensor | None, *, causal: bool, device: torch.device, dtype: torch.dtype
) -> Tensor | None:
    """What is added to attention scores: 0 where a query sees a key, the type's minimum where not; None if all see all.

    The minimum, not -inf: a row of padding that may look nowhere must not become NaN.

    Args:
        length: of the sequence.
        attention_mask: as `stages.model.transformer.Transformer.forward` takes it.
        causal: whether positions are kept from seeing those after them besides.
    """
    real = None if attention_mask is None else _by_head(attention_mask.to(device))
    if not causal:
        return None if real is None else _scores(real, dtype)
    before = torch.ones(1, 1, length, length, dtype=torch.bool, device=device).tril()
    return _scores(before if real is None else before & real, dtype)


def of_memory(attention_mask: Tensor | None, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    """The same for the states of another stack."""
    return None if attention_mask is None else _scores(_by_head(attention_mask.to(device)), dtype)


def prefix(lengths: Tensor, length: int) -> Tensor:
    """The mask of a prefix decoder (Raffel et al. 2020, T5, Figure 4): all see the prefix, the rest is causal.

    Args:
        lengths: of each row's prefix (batch,).
        length: of the rows.

    Returns:
        (batch, length, length), bool.
    """
    positions = torch.arange(length, device=lengths.device)
    return (positions < lengths[:, None, None]) | (positions <= positions[:, None])


def within(documents: Tensor, others: Tensor | None = None) -> Tensor:
    """Only positions of one document see each other.

    Args:
        documents: number of each query's document (batch, queries).
        others: number of each key's (batch, keys); those of the queries if None.

    Returns:
        (batch, queries, keys), bool.
    """
    return documents[:, :, None] == (documents if others is None else others)[:, None, :]


def _by_head(attention_mask: Tensor) -> Tensor:
    """(batch, keys) or (batch, queries, keys) -> (batch, 1, 1 or queries, keys), bool."""
    seen = attention_mask.bool()
    return seen[:, None, None, :] if seen.ndim == 2 else seen[:, None]


def _scores(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)
