"""A task in a temporary project, tuned and scored as the stage does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer

from stages import artifacts, params, paths, task
from stages.finetune import files
from stages.finetune.run import checkpoint_of, finetune, method_of
from stages.finetune.score import score
from stages.intermediate.lend import lend
from stages.model import files as model_files
from stages.model.config import TransformerConfig
from stages.model.transformer import EncoderDecoder, LanguageModel, initialize
from stages.params import Params
from stages.task import Task
from stages.tokenizer import files as tokenizer_files
from tests.finetune.methods.made import OPTIONS
from tests.model import checkpoints
from tests.training.toy import Silent

COUNTS = {"train": 500, "validation": 80, "test": 100}
"""Rows of each split."""

Columns = dict[str, Sequence[Any]]


def make(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: Task,
    source: Mapping[str, Any],
    tokenizer: Tokenizer,
    rows: Callable[[int, int], Columns],
    **finetune: Any,
) -> Params:
    """The parameters of a project whose one task is ``asked`` of ``source``; ``rows``: of so many, by this seed."""
    monkeypatch.setattr(paths, "ROOT", folder)
    for name in ("TASKS", "ENCODED", "PREDICTIONS", "MODELS", "TOKENIZER", "STATE", "INTERMEDIATE"):
        monkeypatch.setattr(paths, name, folder / name.lower())
    content = params.load().model_dump()
    content |= {"engine": {"precision": "fp32", "threads": 1}, "objectives": {"ours": {}}, "seeds": [0]}
    content |= {"methods": {**OPTIONS, "zero_shot": {}, "few_shot": {"demonstrations": 2}}, "tasks": ["asked"]}
    content["pretrain"]["objectives"] = ["ours"]
    content["finetune"] |= {"max_train_examples": COUNTS["train"], "methods": ["full"], **finetune}
    content["compress"]["compressors"] = ["int8_dynamic"]
    content["sources"] = {"asked": {"kind": "file", "path": "asked.jsonl", "tasks": {"asked": {}}, **source}}
    content["data"]["sources"] = ["asked"]
    tokenizer_files.save(tokenizer, paths.TOKENIZER)
    paths.task("asked").mkdir(parents=True)
    paths.encoded("asked").mkdir(parents=True)
    artifacts.write_json(paths.task("asked") / task.FILE, asked.model_dump())
    for seed, (split, count) in enumerate(COUNTS.items()):
        columns = {**rows(count, seed), "id": [f"{number:04d}" for number in range(count)]}
        pq.write_table(pa.table(columns), paths.task("asked") / f"{split}.parquet")
    made = params.parse(Params, content, "params.yaml")
    lend(made)
    return made.model_copy(update={"compress": made.compress.model_copy(update={"compressors": []})})


def pretrained(architecture: str, words: Sequence[str] = ()) -> None:
    """A model of 32 dimensions whose weights all matter; ``words`` are those of an imported one's own tokenizer."""
    folder = paths.pretrained("ours", 0)
    if architecture == "imported":
        checkpoints.model("bert", len(words) + 4, max_position_embeddings=64).save_pretrained(folder)
        checkpoints.tokenizer(words=words).save(str(folder / "tokenizer.json"))
        return
    size, pair = tokenizer_files.load(paths.TOKENIZER).get_vocab_size(), architecture == "encoder_decoder"
    config = TransformerConfig(size, 32, 2, 2, 48, architecture == "decoder", num_decoder_layers=2 * pair)
    model = EncoderDecoder(config) if pair else LanguageModel(config)
    initialize(model, generator := torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    model_files.save(folder, model, paths.TOKENIZER)


def tune(settings: Params, method: str) -> tuple[Path, dict[str, float]]:
    """Tune, write, load and score."""
    target = paths.finetuned("asked", "ours", method, 0)
    checkpoint = checkpoint_of(settings, "asked", "ours", method, 0)
    tuned = finetune(settings, "asked", "ours", method, 0, checkpoint, Silent())
    files.save(target, tuned, method, method_of(settings, method), paths.pretrained("ours", 0))
    run = {"objective": "ours", "method": method, "seed": 0, "compressor": "none", "parameters": 1}
    figures = score(
        files.load(target),
        torch.float32,
        settings.finetune,
        task="asked",
        folder=target,
        predicted=predictions(method).parent,
        run={**run, "trainable_parameters": tuned.trainable_parameters},
    )
    return target, figures


def predictions(method: str) -> Path:
    """Where the answers of `tune` to the test split lie."""
    return paths.PREDICTIONS / "finetuned" / "asked" / f"ours-{method}-0" / "predictions.parquet"
