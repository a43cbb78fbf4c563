"""The shape of a model, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from stages import params

ROPE_THETA = 10_000.0
NORM_EPS = 1e-5
MAX_POSITIONS = 4096  # rotary positions have no table to outgrow; this is only what the export declares


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of one Transformer.

    ``causal`` is the only difference between encoder and decoder: whether a position sees the
    ones after it.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    causal: bool = False

    @classmethod
    def of(cls, model: params.Model, vocab_size: int, causal: bool) -> Self:
        """The configuration that `params.yaml` describes, for a vocabulary."""
        return cls(vocab_size=vocab_size, causal=causal, **model.model_dump())

    def to_dict(self) -> dict[str, Any]:
        """Plain keys and values."""
        return asdict(self)
