"""Peak resident memory of an exported graph, in a process that has what it needs where it is deployed, and no PyTorch.

    python -m stages.speed.graph_memory models/compressed/imdb/best/onnx_int8 batch.safetensors 2

Prints bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
from safetensors.numpy import load_file

from stages import command
from stages.tracking import environment

GRAPH, PROVIDERS = "model.onnx", ["CPUExecutionProvider"]


def main(argv: Sequence[str] | None) -> None:
    """Load, answer, print."""
    parser = command.parser("stages.speed.graph_memory", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("batch", type=Path)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args(argv)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(str(arguments.folder / GRAPH), options, providers=PROVIDERS)
    session.run(None, load_file(arguments.batch))
    print(environment.peak_memory())


if __name__ == "__main__":
    command.run(main)
