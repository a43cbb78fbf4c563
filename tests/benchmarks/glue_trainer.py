"""transformers' Trainer on a task of GLUE, set up as its `run_glue.py`: nothing of this project is imported.

    python -m tests.benchmarks.glue_trainer --glue data/glue --checkpoint minilm --task cola --seed 0

Whatever is not said here is a default, and the model is evaluated once, behind the last step. Where ``--steps`` asks
for speed, texts are padded to the maximal length, as `run_glue.py` does unless told otherwise; where the score alone is
asked for, to the longest of each batch (``--pad_to_max_length False``), which changes nothing that is learnt.
"""

from __future__ import annotations

import argparse
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
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

from tests.benchmarks.glue_workload import BATCH, EPOCHS, LEARNING_RATE, LENGTH, TASKS, GlueTask, Run, parser


def main() -> None:
    """Train, evaluate, tell."""
    given = parser(__doc__).parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        print(train(given, TASKS[given.task], folder).told())


def train(given: argparse.Namespace, task: GlueTask, folder: str) -> Run:
    """As `run_glue.py --do_train --do_eval` does it, but for what it writes to ``folder``."""
    set_seed(given.seed)
    data: Path = given.glue / given.task
    tokenizer = AutoTokenizer.from_pretrained(given.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(given.checkpoint, num_labels=len(task.labels) or 1)
    padding = "max_length" if given.steps else False
    arguments = TrainingArguments(
        output_dir=folder, per_device_train_batch_size=BATCH, learning_rate=LEARNING_RATE, num_train_epochs=EPOCHS,
        max_steps=given.steps or -1, seed=given.seed, use_cpu=True,
        report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows(data / "train.parquet", task, tokenizer, padding),
        eval_dataset=rows(data / "validation.parquet", task, tokenizer, padding),
        compute_metrics=lambda prediction: {"score": score(prediction, task.metric)},
        data_collator=default_data_collator if padding else DataCollatorWithPadding(tokenizer),
    )
    started = time.perf_counter()
    steps = trainer.train().global_step
    seconds = (time.perf_counter() - started) / steps
    return Run(0.0 if given.steps else trainer.evaluate()["eval_score"], seconds)


def rows(
    table: Path, task: GlueTask, tokenizer: PreTrainedTokenizerBase, padding: bool | str
) -> list[Mapping[str, Any]]:
    """All examples as the collator takes them."""
    columns = pq.read_table(table).to_pydict()
    texts = [columns[name] for name in task.texts]
    encoded = tokenizer(*texts, padding=padding, max_length=LENGTH, truncation=True)
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
