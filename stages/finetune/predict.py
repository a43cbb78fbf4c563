"""Class probabilities of examples."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.finetune.examples import Examples

BATCH = 64


class Scorer(Protocol):
    """Anything that gives logits: a `Classifier`, or a compressed one."""

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
        """(batch, length) -> (batch, classes)."""


def probabilities(model: Scorer, examples: Examples, dtype: torch.dtype) -> NDArray[np.float32]:
    """Softmax of the logits, (examples, classes), in the examples' own order."""
    rows: list[tuple[int, NDArray[np.float32]]] = []
    with torch.no_grad():
        for places, batch in examples.by_length(BATCH):
            scores = model(batch.input_ids, batch.attention_mask, dtype).float().softmax(-1).cpu().numpy()
            rows += zip(places.tolist(), scores, strict=True)
    return np.stack([scores for _, scores in sorted(rows, key=lambda row: row[0])])
