"""Compressed models on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from stages.artifacts import atomic_folder, read_json, write_json
from stages.compress import methods
from stages.compress.methods.base import Compressor
from stages.finetune import files as tuned_files
from stages.model import files
from stages.model.answerer import Answerer
from stages.params import parse

COMPRESSION = "compression.json"


def save(folder: Path, name: str, compressor: Compressor, source: Path) -> None:
    """Compress the model in ``source`` and write it beside everything else that belongs to it."""
    model = tuned_files.load(source)
    with atomic_folder(folder) as temporary:
        for file in sorted(source.iterdir()):
            if file.name not in (files.WEIGHTS, "run.json"):
                shutil.copyfile(file, temporary / file.name)
        write_json(temporary / COMPRESSION, {"compressor": name, "options": compressor.options.model_dump()})
        files.save_weights(temporary / files.WEIGHTS, compressor.tensors(model))


def load(folder: Path) -> Answerer:
    """Read a compressed model, ready to run.

    Raises:
        StageError: a file is missing or damaged.
    """
    compressor = _compressor(read_json(folder / COMPRESSION))
    return compressor.restore(tuned_files.empty(folder), files.load_weights(folder / files.WEIGHTS))


def _compressor(content: dict[str, Any]) -> Compressor:
    kind = methods.get(content["compressor"])
    return kind(parse(kind.Options, content["options"], COMPRESSION))
