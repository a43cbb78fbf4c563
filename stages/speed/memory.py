"""Peak resident memory of a model, in a process that does nothing but load it and answer.

    python -m stages.speed.memory models/selected/imdb/best batch.safetensors 2

Prints bytes. What Python and the libraries need by themselves is among them, as it is wherever a model runs; of a model
that was handed over to ONNX Runtime that is no PyTorch (`stages.speed.graph_memory`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from stages import command
from stages.compress.methods.onnx import GRAPH
from stages.errors import StageError
from stages.finetune.examples import Batch
from stages.finetune.predict import Scorer
from stages.training import memory


def measure(folder: Path, batch: Batch) -> int:
    """Bytes that a process of its own has needed for this model and batch, with as many threads as PyTorch has here.

    Raises:
        StageError: it failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        given = Path(temporary) / "batch.safetensors"
        save_file({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}, given)
        module = "stages.speed.graph_memory" if (folder / GRAPH).is_file() else "stages.speed.memory"
        words = [sys.executable, "-m", module, str(folder), str(given), str(torch.get_num_threads())]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"{folder} did not answer in a process of its own: {done.stderr.strip()[-500:]}")
    return int(done.stdout)


def load(folder: Path) -> Scorer:
    """A tuned model, compressed or not."""
    from stages.compress import files as compressed_files
    from stages.finetune import files as tuned_files

    is_compressed = (folder / compressed_files.COMPRESSION).is_file()
    return compressed_files.load(folder) if is_compressed else tuned_files.load(folder)


def main(argv: Sequence[str] | None) -> None:
    """Load, answer, print."""
    parser = command.parser("stages.speed.memory", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("batch", type=Path)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    given = load_file(arguments.batch)
    with torch.inference_mode():
        load(arguments.folder)(given["input_ids"], given["attention_mask"])
    print(memory.peak())


if __name__ == "__main__":
    command.run(main)
