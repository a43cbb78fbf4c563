"""How large a model is: bytes of its weights, how many there are, and how many of them are not zero."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stages.compress.groups import unpacked
from stages.finetune import files as tuned_files
from stages.model import files

QUANTIZED, ZERO_POINT = "_quantized", "_zero_point"
"""How ONNX Runtime ends the names of integers, and of which of those is none."""


ROTARY = "RotaryEmbedding"
"""What reads tables of angles, which nothing learns, behind its states and positions."""


class Size(NamedTuple):
    """Of a model in a folder."""

    bytes: int
    parameters: int
    nonzero: int


def measure(folder: Path) -> Size:
    """All numbers that are learnt or follow from those, steps of integers among them; indices are none."""
    tensors = [tensor for tensor in _tensors(folder) if tensor.dtype not in (torch.int32, torch.int64)]
    weights = [unpacked(tensor) if tensor.dtype == torch.uint8 else tensor for tensor in tensors]
    return Size(
        tuned_files.size(folder),
        sum(tensor.numel() for tensor in weights),
        sum(int(tensor.count_nonzero()) for tensor in weights),
    )


def _tensors(folder: Path) -> Iterator[Tensor]:
    for path in sorted(folder.glob(f"*{files.SUFFIX}")):
        yield from files.load_weights(path).values()
    for path in sorted(folder.glob(f"*{tuned_files.GRAPH}")):
        yield from _of_graph(path)


def _of_graph(path: Path) -> Iterator[Tensor]:
    import onnx

    graph = onnx.load(path).graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    angles = {name for node in graph.node if node.op_type == ROTARY for name in node.input[2:]}
    for name, array in constants.items():
        if array.ndim and not name.endswith(ZERO_POINT) and name not in angles:
            zero = constants.get(name.removesuffix(QUANTIZED) + ZERO_POINT, 0) if array.dtype == np.uint8 else 0
            yield torch.from_numpy(array - np.int16(zero) if array.dtype == np.uint8 else array.copy())
