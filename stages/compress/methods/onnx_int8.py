"""Hand the model over to ONNX Runtime with weights in int8, activations quantized on the fly.

Symmetric weights with a step for each output of a product (measured: unsigned ones take twice the time); of a table one
step and zero point. What does not multiply by a weight, or look one up, stays in fp32: attention itself, norms.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stages.compress import runtime
from stages.compress.methods.onnx import Onnx

if TYPE_CHECKING:
    from onnx import ModelProto

QUANTIZED = ["MatMul", "Gemm", "Gather"]
PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""What tells the quantizer that constants are folded, as the exporter leaves them."""


class OnnxInt8(Onnx):
    """The model in int8."""

    quantizes: ClassVar[bool] = True

    def finish(self, traced: ModelProto, optimized: bytes) -> bytes:
        return runtime.optimized(_quantized(traced)).SerializeToString(deterministic=True)


def _quantized(traced: ModelProto) -> ModelProto:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    prepared = onnx.ModelProto()
    prepared.CopyFrom(traced)
    onnx.helper.set_model_props(prepared, PREPARED)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantized.onnx"
        quantize_dynamic(prepared, target, QUANTIZED, per_channel=True, weight_type=QuantType.QInt8)
        return onnx.load(target)
