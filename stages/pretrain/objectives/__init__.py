"""The registry of pre-training objectives: the names that `params.yaml` may list."""

from __future__ import annotations

from stages.errors import StageError
from stages.pretrain.objectives.base import Objective
from stages.pretrain.objectives.clm import CausalLM
from stages.pretrain.objectives.mlm import MaskedLM
from stages.pretrain.objectives.scratch import Scratch

OBJECTIVES: dict[str, type[Objective]] = {
    "scratch": Scratch,
    "mlm": MaskedLM,
    "clm": CausalLM,
}


def get(name: str) -> type[Objective]:
    """The class of an objective.

    Raises:
        StageError: there is none of that name.
    """
    if name not in OBJECTIVES:
        raise StageError(f"params.yaml: pretrain.objectives: {name!r} is unknown; there are: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
