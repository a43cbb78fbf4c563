"""The registry of compressors: the names that `params.yaml` may list."""

from __future__ import annotations

from stages.compress.methods.base import Compressor
from stages.compress.methods.int8_dynamic import Int8Dynamic
from stages.errors import StageError

COMPRESSORS: dict[str, type[Compressor]] = {
    "int8_dynamic": Int8Dynamic,
}


def get(name: str) -> type[Compressor]:
    """The class of a compressor.

    Raises:
        StageError: there is none of that name.
    """
    if name not in COMPRESSORS:
        known = ", ".join(COMPRESSORS)
        raise StageError(f"params.yaml: compress.compressors: {name!r} is unknown; there are: {known}")
    return COMPRESSORS[name]
