"""Biases alone are trained (Ben Zaken et al. 2022, BitFit, §3).

Our block has none, as some others have not: there the gains of its norms stand in, which likewise are one number for
each unit and hold what their place is scaled by.
"""

from __future__ import annotations

from stages.finetune.methods.gradient import Gradient, only
from stages.model.tunable import Tunable


class BitFit(Gradient):
    """All biases, or of a model without any the gains of all norms; and the head."""

    def prepare(self, model: Tunable) -> None:
        vectors = [name for name, parameter in model.named_parameters() if parameter.ndim == 1]
        biases = [name for name in vectors if name.startswith("transformer.") and name.endswith(".bias")]
        only(model, biases or vectors)
