"""transformers' Trainer on a task of GLUE, set up as its `run_glue.py`: nothing of this project is imported.

    python -m tests.benchmarks.glue_trainer --glue data/glue --checkpoint minilm --task cola --seed 0

Texts are padded to the maximal length, whatever is not said here is a default, and the model is evaluated once, behind
the last step.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.metrics import accuracy_score, matthews_corrcoef
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

from tests.benchmarks.glue_workload import BATCH, EPOCHS, LEARNING_RATE, LENGTH, TASKS, THREADS, GlueTask, Run, parser


def main() -> None:
    """Train, evaluate, tell."""
    given = parser(__doc__).parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        print(train(given.glue / given.task, given.checkpoint, TASKS[given.task], given.seed, folder).told())


def train(data: Path, checkpoint: Path, task: GlueTask, seed: int, folder: str) -> Run:
    """As `run_glue.py --do_train --do_eval` does it, but for what it writes to ``folder``."""
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(task.labels) or 1)
    arguments = TrainingArguments(
        output_dir=folder, per_device_train_batch_size=BATCH, learning_rate=LEARNING_RATE, num_train_epochs=EPOCHS,
        seed=seed, use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows(data / "train.parquet", task, tokenizer),
        eval_dataset=rows(data / "validation.parquet", task, tokenizer),
        compute_metrics=lambda prediction: {"score": score(prediction, task.metric)},
        data_collator=default_data_collator,
    )
    started = time.perf_counter()
    trainer.train()
    found = trainer.evaluate()["eval_score"]
    return Run(found, time.perf_counter() - started)


def rows(table: Path, task: GlueTask, tokenizer: PreTrainedTokenizerBase) -> list[Mapping[str, Any]]:
    """All examples as the collator takes them."""
    columns = pq.read_table(table).to_pydict()
    texts = [columns[name] for name in task.texts]
    encoded = tokenizer(*texts, padding="max_length", max_length=LENGTH, truncation=True)
    names = list(encoded)
    values = zip(*(encoded[name] for name in names), columns["label"], strict=True)
    return [dict(zip([*names, "label"], row, strict=True)) for row in values]


def score(prediction: EvalPrediction, metric: str) -> float:
    """What `evaluate`'s GLUE metric computes, by the same libraries."""
    outputs, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    if metric == "pearson":
        return float(np.corrcoef(outputs[:, 0], labels)[0, 1])
    return float({"matthews": matthews_corrcoef, "accuracy": accuracy_score}[metric](labels, outputs.argmax(1)))


if __name__ == "__main__":
    main()
