"""The vocabulary of a checkpoint, for what is trained on from it: its embeddings mean these tokens and no others."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tokenizers import Tokenizer

from stages.gather import checkpoints
from stages.params import Checkpoint
from stages.tokenizer import files


def taken(name: str, checkpoint: Checkpoint) -> Tokenizer:
    """The checkpoint's tokenizer as it is.

    Raises:
        StageError: the checkpoint cannot be fetched, or has no tokenizer.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.fetch(name, checkpoint, Path(folder))
        return files.load(Path(folder))
