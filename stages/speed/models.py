"""Latency and throughput of models that take turns, and how large they are on disk and in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch

from stages import paths, record
from stages.finetune import tasks
from stages.finetune.examples import Batch
from stages.finetune.predict import Scorer
from stages.finetune.tokenization import Tokenization
from stages.model import classifier
from stages.params import Params
from stages.speed import memory, sizes
from stages.speed.rows import Row

SINGLES, BATCHES, BATCH_SIZE, WARM_UP = 100, 8, 32, 5


def measure_all(settings: Params) -> list[Row]:
    """The selected models and their compressed forms, task by task, those of one model together."""
    torch.set_num_threads(settings.engine.threads)
    cells = product(settings.tasks, settings.compress.models)
    return [row for task, model in cells for row in measure(settings, task, model)]


def measure(settings: Params, task: str, model: str) -> list[Row]:
    """A selected model and what could be made of it, on test texts of their real lengths."""
    subject, folder = f"{task}/{model}", paths.selected(task, model)
    made = {f"{subject}/{name}": paths.compressed(task, model, name) for name in settings.compress.compressors}
    folders = {subject: folder} | {name: where for name, where in made.items() if record.absence(where) is None}
    models = {name: memory.load(where) for name, where in folders.items()}
    test = tasks.read(task).examples(task, "test", Tokenization.of(folder, classifier.load_config(folder).max_length))
    singles = [test.batch(np.array([place])) for place in range(min(SINGLES, len(test)))]
    batches = [
        test.batch(np.arange(start, min(start + BATCH_SIZE, len(test))))
        for start in range(0, min(BATCHES * BATCH_SIZE, len(test)), BATCH_SIZE)
    ]
    latencies, throughputs = take_turns(models, singles), take_turns(models, batches)
    figures = {
        name: {
            ("latency p50", "ms"): 1e3 * float(np.median(latencies[name])),
            ("latency p95", "ms"): 1e3 * float(np.quantile(latencies[name], 0.95)),
            (f"throughput at batch {BATCH_SIZE}", "texts/s"): _rate(batches, throughputs[name]),
            **_sizes(folders[name], batches[0]),
        }
        for name in models
    }
    return [
        Row(name, subject, figure, unit, value, None if name == subject else value / figures[subject][figure, unit])
        for name in models
        for (figure, unit), value in figures[name].items()
    ]


def _sizes(folder: Path, batch: Batch) -> dict[tuple[str, str], float]:
    """On disk and in memory."""
    size = sizes.measure(folder)
    return {
        ("weights on disk", "bytes"): float(size.bytes),
        ("parameters", ""): float(size.parameters),
        ("non-zero parameters", ""): float(size.nonzero),
        ("peak memory", "MiB"): memory.measure(folder, batch) / 2**20,
    }


def take_turns(models: Mapping[str, Scorer], batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Seconds that each model takes for each batch, one model after the other on the same batch."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for number, batch in enumerate([*batches[:WARM_UP], *batches]):
            for name, model in models.items():
                started = time.perf_counter()
                model(batch.input_ids, batch.attention_mask)
                if number >= min(WARM_UP, len(batches)):
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def _rate(batches: Sequence[Batch], seconds: list[float]) -> float:
    return float(np.median([len(batch.labels) / taken for batch, taken in zip(batches, seconds, strict=True)]))
