"""Attention in checkpoints that transformers would leave to PyTorch's fused kernel.

To train on a CPU by it takes several times as long as by plain products (`stages.model.transformer.attend`), and what
it drops out it draws from the global generator. What is not trained is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stages.model.dropout import Dropout

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FUSED, KIND = "sdpa", "products"
"""What transformers knows the kernel by, and our attention."""

_DROPOUT: ContextVar[Dropout] = ContextVar("dropout of attention", default=Dropout())  # noqa: B039 - frozen


def install(model: PreTrainedModel) -> None:
    """Take the kernel's place, where the model can have it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    if model.config._attn_implementation == FUSED:
        AttentionInterface.register(KIND, _attend)
        AttentionMaskInterface.register(KIND, eager_mask)
        model.set_attn_implementation(KIND)


@contextmanager
def dropping(dropout: Dropout) -> Iterator[None]:
    """Leave out at random some of what tokens attend to."""
    token = _DROPOUT.set(dropout)
    try:
        yield
    finally:
        _DROPOUT.reset(token)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    position_bias: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """As `sdpa_attention_forward` of transformers; what is causal is so by its mask."""
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    dropout, mask = _DROPOUT.get(), _added(attention_mask, position_bias, query.dtype)
    if not dropout.probability and not (torch.is_grad_enabled() and query.device.type == "cpu"):
        options |= {"dropout": 0.0, "is_causal": False}
        return sdpa_attention_forward(module, query, key, value, mask, scaling=scaling, **options)
    key, value = (repeat_kv(heads, query.shape[1] // key.shape[1]) for heads in (key, value))
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(-1, -2)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return (dropout(weights) @ value).transpose(1, 2).contiguous(), None


def _added(mask: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What is added to scores, in their type; its least number stays finite."""
    given = [part for part in (mask, bias) if part is not None]
    return sum(given[1:], given[0]).clamp(min=torch.finfo(dtype).min).to(dtype) if given else None
