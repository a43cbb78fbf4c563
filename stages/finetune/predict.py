"""What a model says of examples."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.finetune.examples import Examples
from stages.finetune.tasks.base import Family

BATCH = 64


class Scorer(Protocol):
    """Anything that gives outputs: a `Classifier`, or a compressed one."""

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(batch, length) -> (batch, outputs)."""


def scores(
    model: Scorer, family: Family, examples: Examples, dtype: torch.dtype, batch_size: int = BATCH
) -> NDArray[Any]:
    """What the outputs say, in the examples' own order: see `Family.read`."""
    order, parts = [], []
    with torch.no_grad():
        for places, batch in examples.by_length(batch_size):
            parts.append(family.answers(model, batch, dtype))
            order.append(places)
    return examples.joined(np.concatenate(parts)[np.argsort(np.concatenate(order))])
