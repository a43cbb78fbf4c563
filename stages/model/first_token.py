"""The last layer of transformers' architectures for first tokens alone, where a classifier reads no others.

Behind its attention a layer computes every token by itself, so that in the last one all other tokens can be left out:
three quarters of its products. BERT and its kin call one module there, which adds what attention writes to the states
that it read.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

MODULE, GIVEN = ".attention.output", ["hidden_states", "input_tensor"]
"""What BERT's kin call that module, and what they give to it."""


def behind_attention(model: nn.Module) -> str | None:
    """The name of that module in the last layer; None where the architecture has none."""
    named = [(name, module) for name, module in model.named_modules() if name.endswith(MODULE)]
    return named[-1][0] if named and [*inspect.signature(named[-1][1].forward).parameters] == GIVEN else None


@contextmanager
def alone(module: nn.Module) -> Iterator[None]:
    """Let all that is behind ``module`` compute first tokens only."""
    handle = module.register_forward_pre_hook(_first)
    try:
        yield
    finally:
        handle.remove()


def _first(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of states (batch, length, width), those (batch, 1, width) of the first tokens.

    They lie by themselves: the last bits of products with rows far apart depend on where in memory the weights are.
    """
    return tuple(states[:, :1].contiguous() for states in given)
