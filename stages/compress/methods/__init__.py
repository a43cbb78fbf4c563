"""The registry of compressors: the names that `params.yaml` may list."""

from __future__ import annotations

from stages.compress.base import Compressor
from stages.compress.methods.distill import Distill
from stages.compress.methods.int4_weight_only import Int4WeightOnly
from stages.compress.methods.int8_dynamic import Int8Dynamic
from stages.compress.methods.int8_qat import Int8Qat
from stages.compress.methods.int8_static import Int8Static
from stages.compress.methods.int8_weight_only import Int8WeightOnly
from stages.compress.methods.low_rank import LowRankMaps
from stages.compress.methods.onnx import Onnx
from stages.compress.methods.onnx_int8 import OnnxInt8
from stages.compress.methods.prune_heads import PruneHeads
from stages.compress.methods.prune_magnitude import PruneMagnitude
from stages.compress.methods.prune_neurons import PruneNeurons
from stages.compress.methods.vocabulary import Vocabulary
from stages.errors import StageError

COMPRESSORS: dict[str, type[Compressor]] = {
    "distill": Distill,
    "prune_magnitude": PruneMagnitude,
    "prune_neurons": PruneNeurons,
    "prune_heads": PruneHeads,
    "vocabulary": Vocabulary,
    "low_rank": LowRankMaps,
    "int8_dynamic": Int8Dynamic,
    "int8_static": Int8Static,
    "int8_qat": Int8Qat,
    "int8_weight_only": Int8WeightOnly,
    "int4_weight_only": Int4WeightOnly,
    "onnx": Onnx,
    "onnx_int8": OnnxInt8,
}


def get(name: str, where: str) -> type[Compressor]:
    """The class of a compressor; ``where`` it is named is what the error says.

    Raises:
        StageError: there is none of that name.
    """
    if name not in COMPRESSORS:
        known = ", ".join(COMPRESSORS)
        raise StageError(f"{where}: {name!r} is unknown; there are: {known}")
    return COMPRESSORS[name]
