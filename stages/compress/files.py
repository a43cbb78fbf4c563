"""Compressed models on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from stages import record
from stages.artifacts import atomic_folder, read_json, write_json
from stages.compress import chain as chains
from stages.compress.base import Export, Material
from stages.compress.chain import Chain
from stages.errors import StageError
from stages.finetune import files as tuned_files
from stages.finetune.predict import Scorer
from stages.model import files
from stages.model.answerer import Answerer
from stages.params import Section, parse

COMPRESSION = "compression.json"


class _Step(Section):
    """A step as it was taken: what it was, and what it left to be known (`stages.compress.base.Shape`)."""

    compressor: str
    options: dict[str, Any]
    shape: dict[str, Any]


def save(folder: Path, chain: Chain, material: Material) -> int:
    """Compress the model in ``material.source`` and write it beside everything else that belongs to it.

    Returns:
        How many parameters are left; of what is quantized or exported, how many it was made from.
    """
    model, taken = tuned_files.load(material.source), []
    parameters = _count(model)
    with atomic_folder(folder) as temporary:
        for file in sorted(material.source.iterdir()):
            if file.name not in (files.WEIGHTS, record.FILE):
                shutil.copyfile(file, temporary / file.name)
        for place, step in enumerate(chain):
            part = material.part(f"{place}-{step.name}")
            shape = step.compressor.compress(model, part)
            taken.append(_Step(compressor=step.name, options=step.compressor.options.model_dump(), shape=shape))
            if isinstance(step.compressor, Export):
                step.compressor.export(model, temporary, part)
            elif not step.compressor.quantizes:
                parameters = _count(model)
        if not isinstance(chain[-1].compressor, Export):
            files.save_weights(temporary / files.WEIGHTS, model.state_dict())
        write_json(temporary / COMPRESSION, [step.model_dump() for step in taken])
    return parameters


def _count(model: Answerer) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def nonzero(folder: Path) -> int | None:
    """How many numbers of the tensors that were saved are not zero; None where they went into a graph."""
    if not (folder / files.WEIGHTS).is_file():
        return None
    return sum(int(tensor.count_nonzero()) for tensor in files.load_weights(folder / files.WEIGHTS).values())


def load(folder: Path) -> Scorer:
    """Read a compressed model, ready to run.

    Raises:
        StageError: a file is missing or damaged.
    """
    path = folder / COMPRESSION
    content = read_json(path)
    if not (isinstance(content, list) and content):
        raise StageError(f"{path} holds no steps: run `dvc repro` to make it again")
    taken = [parse(_Step, step, f"{path}: {place}") for place, step in enumerate(content)]
    chain = [chains.make(step.compressor, step.options, str(path)) for step in taken]
    if isinstance(last := chain[-1].compressor, Export):
        return last.open(folder)
    model = tuned_files.empty(folder)
    for step, told in zip(chain, taken, strict=True):
        step.compressor.shape(model, told.shape)
    model.load_state_dict(files.load_weights(folder / files.WEIGHTS))
    return model.eval()
