"""Floating-point operations of the model's parts, from their shapes; what a budget in FLOPs is counted in.

Only matrix products count, two operations for a multiply and add, as is the custom (Kaplan et al. 2020, §2.1;
`torch.utils.flop_counter`, which the tests hold this against). A training step costs three forward passes: each product
is done once forward and twice backward, for its two factors.
"""

from __future__ import annotations

from stages.model.config import TransformerConfig

TRAINING = 3
"""Forward passes that a training step costs."""


def product(rows: int, inner: int, columns: int) -> int:
    """(rows, inner) times (inner, columns)."""
    return 2 * rows * inner * columns


def attention(config: TransformerConfig, batch: int, queries: int, keys: int) -> int:
    """Scores of all queries with all keys, seen or not, and the sums of values."""
    return 2 * batch * product(queries, config.hidden_size, keys)


def stack(config: TransformerConfig, batch: int, length: int) -> int:
    """All layers over ``batch`` sequences."""
    width, inner, rows = config.hidden_size, config.intermediate_size, batch * length
    projections = product(rows, width, 4 * width)  # Q, K, V, output
    feed_forward = product(rows, width, 2 * inner) + product(rows, inner, width)
    return config.num_hidden_layers * (projections + feed_forward + attention(config, batch, length, length))


def decoder(config: TransformerConfig, batch: int, length: int, memory: int) -> int:
    """The decoder of an encoder–decoder over ``length`` targets, reading ``memory`` states each."""
    width = config.hidden_size
    own = stack(config, batch, length) // config.num_hidden_layers
    read = product(batch * length, width, 2 * width) + product(batch * memory, width, 2 * width)
    return config.num_decoder_layers * (own + read + attention(config, batch, length, memory))


def head(config: TransformerConfig, rows: int) -> int:
    """The prediction head and the logits of ``rows`` positions."""
    return product(rows, config.hidden_size, config.hidden_size) + product(rows, config.hidden_size, config.vocab_size)
