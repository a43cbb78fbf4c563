"""Full fine-tuning: every weight is trained (Devlin et al. 2019, BERT, §3.2)."""

from __future__ import annotations

from stages.finetune.methods.gradient import Gradient
from stages.model.tunable import Tunable


class Full(Gradient):
    """All weights.

    Our embeddings start at the size of untrained ones, so that one learning rate fits whatever was pre-trained.
    """

    whole = True

    def prepare(self, model: Tunable) -> None:
        model.shrink_embeddings()
