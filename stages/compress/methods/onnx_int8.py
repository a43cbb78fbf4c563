"""Hand the model over to ONNX Runtime with weights in int8, activations quantized on the fly.

Symmetric weights with a step for each output of a product (measured: unsigned ones take twice the time); of a table one
step and zero point. What does not multiply by a weight, or look one up, stays in fp32: attention itself, norms.

Weights of products have 7 bits: a processor without instructions for int8 (VNNI) adds two products up in 16 bits, which
8 bits of both overflow, and silently so (ONNX Runtime, Quantize ONNX Models, "When to use reduce-range"). Integers are
exact, so all processors agree.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stages.compress import runtime
from stages.compress.methods.onnx import Onnx

if TYPE_CHECKING:
    from onnx import ModelProto

LOOKED_UP, MULTIPLIED = ["Gather"], ["MatMul", "Gemm"]
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

    made = onnx.ModelProto()
    made.CopyFrom(traced)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantized.onnx"
        for nodes, reduced in ((LOOKED_UP, False), (MULTIPLIED, True)):
            onnx.helper.set_model_props(made, PREPARED)
            quantize_dynamic(made, target, nodes, per_channel=True, reduce_range=reduced, weight_type=QuantType.QInt8)
            made = onnx.load(target)
    return made
