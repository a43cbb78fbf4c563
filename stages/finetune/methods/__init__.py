"""The registry of fine-tuning methods: the names that `params.yaml` may list."""

from __future__ import annotations

from stages.errors import StageError
from stages.finetune.methods.base import Method
from stages.finetune.methods.frozen import Frozen
from stages.finetune.methods.full import Full

METHODS: dict[str, type[Method]] = {
    "frozen": Frozen,
    "full": Full,
}


def get(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        StageError: there is none of that name.
    """
    if name not in METHODS:
        raise StageError(f"params.yaml: finetune.methods: {name!r} is unknown; there are: {', '.join(METHODS)}")
    return METHODS[name]
