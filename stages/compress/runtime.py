"""ONNX Runtime: its optimisation of a graph, and graphs that answer like models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stages.compress.graph import INPUTS, OUTPUT, anonymous
from stages.errors import StageError

if TYPE_CHECKING:
    from onnx import ModelProto

PROVIDERS = ("CPUExecutionProvider",)
ERRORS = 3
"""The least severe messages that are told."""


class Session:
    """Logits of a graph, computed by as many threads as PyTorch has."""

    def __init__(self, graph: Path | bytes) -> None:
        """``graph``: a file, or what one would hold.

        Raises:
            StageError: the file is missing or damaged.
        """
        import onnxruntime

        options = _options()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.force_spinning_stop", "1")  # cores are left to others between calls
        content = str(graph) if isinstance(graph, Path) else graph
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=PROVIDERS)
        except Exception as error:  # it has no class of its own for what is missing or damaged
            raise StageError(f"{graph!s:.200} cannot be read ({error}): run `dvc repro` to make it again") from None

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(batch, length), padded on the right -> (batch, outputs), fp32; a graph has the precision it was made in."""
        given = dict(zip(INPUTS, (input_ids.cpu().numpy(), attention_mask.cpu().numpy()), strict=True))
        return torch.from_numpy(self._session.run([OUTPUT], given)[0])


def optimized(proto: ModelProto) -> ModelProto:
    """The graph as ONNX Runtime would make it on loading, for any processor: constants folded, nodes fused."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options, target = _options(), Path(folder) / "optimized.onnx"
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(target)
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=PROVIDERS)
        return anonymous(onnx.load(target))


def _options() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS
    return options
