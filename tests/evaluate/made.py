"""Predictions of made-up models, and the files that other stages would have written."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from stages import params, paths
from stages.params import Params

EXAMPLES = 600

ACCURACY = {"scratch": 0.60, "mlm": 0.68, "clm": 0.80}


def settings(**changes: object) -> Params:
    """The project's own `params.yaml`, with sections replaced, few resamples and one compressor."""
    plain = params.load()
    evaluate = plain.evaluate.model_copy(update={"bootstrap": 300})
    compress = plain.compress.model_copy(update={"compressors": ["int8_dynamic"]})
    return plain.model_copy(update={"evaluate": evaluate, "compress": compress, "seeds": [0, 1], **changes})


def compressing(params: Params, *models: str) -> Params:
    """With these models compressed."""
    return params.model_copy(update={"compress": params.compress.model_copy(update={"models": list(models)})})


def redirect(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let all stages read and write under `folder`."""
    monkeypatch.setattr(paths, "ROOT", folder)
    monkeypatch.setattr(paths, "PREDICTIONS", folder / "data/predictions")
    monkeypatch.setattr(paths, "METRICS", folder / "data/metrics")
    monkeypatch.setattr(paths, "CURVES", folder / "data/curves")
    monkeypatch.setattr(paths, "REPORTS", folder / "reports")


def answers(labels: NDArray[np.int64], accuracy: float, seed: int) -> NDArray[np.int64]:
    """Answers to two-class questions of which about `accuracy` are right; some questions are hard for all."""
    hardness = np.random.default_rng(0).random(len(labels))
    luck = np.random.default_rng([seed, 1]).random(len(labels))
    right = luck < np.clip(accuracy + 0.4 * (0.5 - hardness), 0, 1)
    return np.where(right, labels, 1 - labels)


def write_run(folder: Path, record: dict[str, object], labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
    """One run's folder as the fine-tuning and the compression stage write it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_answers(folder / "predictions.parquet", labels, predicted)
    (folder / "run.json").write_text(json.dumps(record))


def write_answers(path: Path, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
    """What a model says of a set."""
    frame = pd.DataFrame({"id": [f"{n:016x}" for n in range(len(labels))], "label": labels})
    frame["prediction"] = predicted
    for index in range(2):
        frame[f"score_{index}"] = np.where(predicted == index, 0.9, 0.1).astype(np.float32)
    frame.to_parquet(path)


def record(objective: str, task: str, method: str, seed: int, compressor: str = "none") -> dict[str, object]:
    size = 8_000_000 if compressor == "none" else 2_500_000
    counts = {"parameters": 2_000_000, "trainable_parameters": 258, "bytes": size}
    identity = {"objective": objective, "task": task, "method": method, "compressor": compressor, "seed": seed}
    judged = {"family": "classification", "metric": "accuracy", "validation": {"accuracy": 0.7}}
    return {**identity, **counts, "split": "test", **judged}


def write_predictions(params: Params, accuracy: dict[str, float] = ACCURACY) -> None:
    """All runs that `params` lists; the best model of each task is clm's with the first method and seed."""
    for number, task in enumerate(params.tasks):
        labels = np.random.default_rng(number).integers(2, size=EXAMPLES)
        runs = product(params.pretrain.objectives, params.finetune.methods, params.seeds)
        for luck, (objective, method, seed) in enumerate(runs):
            folder = paths.PREDICTIONS / "finetuned" / task / f"{objective}-{method}-{seed}"
            predicted = answers(labels, accuracy[objective] + 0.004 * seed, luck)
            write_run(folder, record(objective, task, method, seed), labels, predicted)
        for model, compressor in product(params.compress.models, params.compress.compressors):
            objective = "clm" if model == paths.BEST else model
            made = record(objective, task, params.finetune.methods[0], 0, compressor)
            answered = answers(labels, accuracy[objective] - 0.01, 99)
            write_run(paths.compressed_predictions(task, model, compressor), made, labels, answered)


def write_further(params: Params, task: str, name: str, examples: int) -> None:
    """A further set of that many examples, answered by all runs of the task."""
    labels = np.random.default_rng(examples).integers(2, size=examples)
    compressed = product(params.compress.models, params.compress.compressors)
    folders = [paths.compressed_predictions(task, *one) for one in compressed]
    runs = product(params.pretrain.objectives, params.finetune.methods, params.seeds)
    folders += [paths.PREDICTIONS / "finetuned" / task / "{}-{}-{}".format(*run) for run in runs]
    for luck, folder in enumerate(folders):
        (folder / "further").mkdir(exist_ok=True)
        write_answers(folder / "further" / f"{name}.parquet", labels, answers(labels, 0.6, luck))
