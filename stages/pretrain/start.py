"""Checkpoints that were trained before: going on from one, or taking it as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor

from stages import artifacts, paths
from stages.errors import StageError
from stages.model import files, presets
from stages.model.config import TransformerConfig

FOLDER = "start"
"""In what was gathered for an entry."""

TOKENIZER = "tokenizer.json"
SIZES = ("vocab_size", *presets.SIZES)


def weights(folder: Path, config: TransformerConfig, key: str) -> dict[str, Tensor]:
    """The weights of a checkpoint of this project's block, by our names.

    Args:
        folder: of the checkpoint.
        config: of the encoder that `params.yaml` describes; the checkpoint must be of its size.
        key: what an error calls the checkpoint.

    Raises:
        StageError: it is of another block or size, or has another vocabulary.
    """
    if not files.is_own(folder):
        raise StageError(
            f"params.yaml: {key} is no checkpoint of this project's block, so it cannot be trained on; alone, as "
            "`<name>: {start: …}`, it can enter the table as it is"
        )
    theirs, ours = files.load_config(folder).to_dict(), config.to_dict()
    if differ := [name for name in SIZES if theirs[name] != ours[name]]:
        told = ", ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in differ)
        raise StageError(f"params.yaml: {key} has {told}: set `model` and `tokenizer.vocab_size` to its sizes")
    if artifacts.md5(folder / TOKENIZER) != artifacts.md5(paths.TOKENIZER / TOKENIZER):
        raise StageError(
            f"params.yaml: {key} has another vocabulary than models/tokenizer, so its embeddings mean other tokens: "
            "train it on from the corpus and tokenizer settings that it was made with"
        )
    return files.load(folder).state_dict()


def adopt(folder: Path, target: Path) -> int:
    """Copy a checkpoint as it is, and return the number of its parameters."""
    with artifacts.atomic_folder(target) as temporary:
        for file in sorted(folder.iterdir()):
            shutil.copyfile(file, temporary / file.name)
    return sum(tensor.numel() for tensor in files.load_weights(target / files.WEIGHTS).values())
