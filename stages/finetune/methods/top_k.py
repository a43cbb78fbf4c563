"""The last layers alone are trained (Lee et al. 2019, What Would Elsa Do? Freezing Layers During Fine-Tuning)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.errors import StageError
from stages.finetune.methods.gradient import Gradient, only
from stages.model.parts import parts
from stages.model.tunable import Tunable


class TopK(Gradient):
    """The last ``k`` layers, the norm behind them and the head."""

    class Options(Gradient.Options):
        """``k``: how many layers."""

        k: Annotated[int, Field(ge=1)]

    def prepare(self, model: Tunable) -> None:
        found = parts(model.transformer)
        if self.options.k > len(found.layers):
            raise StageError(
                f"params.yaml: methods.top_k.k is {self.options.k}, but the model has only {len(found.layers)} layers"
            )
        chosen = tuple(f"transformer.{name}." for name in (*found.layers[-self.options.k :], *found.final))
        only(model, (name for name, _ in model.named_parameters() if name.startswith(chosen)))
