"""Latency and throughput of models that take turns."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from stages import paths
from stages.artifacts import atomic_file
from stages.compress import files as compressed_files
from stages.finetune import examples
from stages.finetune.examples import Batch
from stages.model import classifier
from stages.model.classifier import Classifier
from stages.params import Params

SINGLES, BATCHES, BATCH_SIZE, WARM_UP = 100, 8, 32, 5


@dataclass(frozen=True)
class Row:
    """One measured figure; ``ratio`` is that of subject to peer, empty for the peer itself."""

    subject: str
    peer: str
    figure: str
    unit: str
    value: float
    ratio: float | None


def measure_all(settings: Params) -> list[Row]:
    """The selected model and its compressed forms, task by task."""
    torch.set_num_threads(settings.engine.threads)
    return [row for task in settings.tasks for row in measure(settings, task)]


def measure(settings: Params, task: str) -> list[Row]:
    """All models of one task on test texts of their real lengths."""
    subject = f"{task}/selected"
    models: dict[str, Classifier] = {subject: classifier.load(paths.selected(task))}
    for name in settings.compress.compressors:
        models[f"{task}/{name}"] = compressed_files.load(paths.compressed(task, name))
    test = examples.load(task, "test", settings.finetune.max_length)
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
        }
        for name in models
    }
    return [
        Row(name, subject, figure, unit, value, None if name == subject else value / figures[subject][figure, unit])
        for name in models
        for (figure, unit), value in figures[name].items()
    ]


def take_turns(models: dict[str, Classifier], batches: Sequence[Batch]) -> dict[str, list[float]]:
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


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write ``speed.csv`` and the same as a table to read."""
    columns = [field.name for field in fields(Row)]
    with atomic_file(folder / "speed.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(_cells(row) for row in rows)
    lines = [
        "# Speed",
        "",
        f"Medians over real test texts, models taking turns, {torch.get_num_threads()} threads, fp32 in and out, on "
        "the machine that ran `dvc repro` last. Ratios compare to the peer in the same run; below 1 is faster for "
        "latency and slower for throughput.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---|---|---|---:|---:|",
        *("| " + " | ".join(_cells(row)) + " |" for row in rows),
    ]
    with atomic_file(folder / "speed.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cells(row: Row) -> list[str]:
    return ["" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in astuple(row)]
