"""Hand the model over to ONNX Runtime with weights in int8, activations quantized on the fly.

Symmetric weights with a step for each output of a product (measured: unsigned ones take twice the time); of a table one
step and zero point. What does not multiply by a weight, or look one up, stays in fp32: attention itself, norms. So does
the head: what it reads is nearly the same for all texts, so that rounding moves the scores of all of them one way.

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
        return runtime.optimized(_quantized(traced, _head(traced))).SerializeToString(deterministic=True)


def _head(traced: ModelProto) -> list[str]:
    """The last product, by its name, and by that which the quantizer gives it where it adds a bias as well."""
    *_, last = (node.name for node in traced.graph.node if node.op_type in MULTIPLIED)
    return [last, f"{last}_MatMul"]


def _quantized(traced: ModelProto, kept: list[str]) -> ModelProto:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = onnx.ModelProto()
    made.CopyFrom(traced)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantized.onnx"
        for nodes, reduced in ((LOOKED_UP, False), (MULTIPLIED, True)):
            onnx.helper.set_model_props(made, PREPARED)
            quantize_dynamic(made, target, nodes, True, reduced, QuantType.QInt8, nodes_to_exclude=kept)
            made = onnx.load(target)
    return made
