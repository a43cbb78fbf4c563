"""The shape of a model, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from stages import params

ROPE_THETA = 10_000.0
NORM_EPS = 1e-5
MAX_POSITIONS = 4096  # rotary positions have no table to outgrow; this is only what the export declares

ScoringMode = Literal["causal", "pseudo"]
"""A sentence's likelihood from left to right, and its pseudo-likelihood, each token given all others."""


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of one Transformer.

    ``causal`` is the only difference between encoder and decoder: whether a position sees the
    ones after it. An encoder–decoder is a stack that is not causal, read by ``num_decoder_layers``
    causal ones of the same sizes; the others have none.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    causal: bool = False
    num_decoder_layers: int = 0

    @classmethod
    def of(cls, model: params.Model, vocab_size: int) -> Self:
        """The encoder that `params.yaml` describes, for a vocabulary."""
        return cls(
            vocab_size=vocab_size,
            hidden_size=model.hidden_size,
            num_hidden_layers=model.num_hidden_layers,
            num_attention_heads=model.num_attention_heads,
            intermediate_size=model.intermediate_size,
        )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    def to_dict(self) -> dict[str, Any]:
        """Plain keys and values."""
        return asdict(self)
