"""What a model says of examples."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.finetune.examples import Examples
from stages.finetune.tasks.base import Family

BATCH = 64


class Scorer(Protocol):
    """Anything that gives outputs: a `Classifier`, or a compressed one."""

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
        """(batch, length) -> (batch, outputs)."""


def scores(
    model: Scorer, family: Family, examples: Examples, dtype: torch.dtype, batch_size: int = BATCH
) -> NDArray[np.float32]:
    """What the outputs say, (examples, outputs), in the examples' own order: see `Family.scores`."""
    rows = np.empty((len(examples), family.outputs), dtype=np.float32)
    with torch.no_grad():
        for places, batch in examples.by_length(batch_size):
            outputs = model(batch.input_ids, batch.attention_mask, dtype).float()
            rows[places] = family.scores(outputs).cpu().numpy()
    return rows
