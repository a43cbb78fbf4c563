"""This project's fine-tuning on a task of GLUE, with the hyper-parameters that `run_glue.py` is run with.

    python -m tests.benchmarks.glue_engine --glue data/glue --checkpoint minilm --task cola --seed 0

Its own ways are kept where they are a matter of speed: texts of similar lengths are computed together, in the precision
that ``auto`` gives. The order of the examples and the weights that the head begins with are those that the Trainer
draws of the same seed, for they move a score by more than what is looked for; draws of dropout are its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import stages  # noqa: F401 - before torch: it decides how threads wait and how memory is kept

# isort: split
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate.data_loader import SeedableRandomSampler
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import BatchSampler

from stages.corpus.tables import TEXT_COLUMNS
from stages.finetune import tasks
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job
from stages.finetune.methods.full import Full
from stages.finetune.tokenization import Tokenization
from stages.model import backbone
from stages.model.classifier import Classifier
from stages.params import Engine
from stages.task import Task
from stages.tokenizer import encode
from stages.training import device, precision
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan
from tests.benchmarks.glue_workload import BATCH, EPOCHS, LEARNING_RATE, LENGTH, TASKS, GlueTask, Run, parser
from tests.training.toy import Silent

DROPOUT = 0.1
"""Of BERT's configurations, which `run_glue.py` takes it from."""


class Clock(Silent):
    """Remembers when the last step was done: what comes behind it, as an evaluation, is no part of any step."""

    last: float

    def step(self, step: int, tokens: int, loss: float) -> None:
        super().step(step, tokens, loss)
        self.last = time.perf_counter()


class ToTheEnd(Full):
    """Full fine-tuning that keeps the last epoch's weights: none is chosen by the set that all is measured on.

    Attributes:
        steps: all that are done, if not those of all epochs.
        head: what the model begins with, if not with a head of its own.
    """

    steps: int | None = None
    head: nn.Module | None = None

    def _begin(self, model: Classifier, job: Job) -> None:
        super()._begin(model, job)
        if self.head is not None:
            model.classifier.load_state_dict(self.head.state_dict())

    def _plan(self, steps_per_epoch: int) -> Plan:
        plan = replace(super()._plan(steps_per_epoch), evaluations=1, best_by=None, patience=None)
        return replace(plan, steps=self.steps or plan.steps)


class Ordered(Examples):
    """In the order that the Trainer takes them in."""

    def shuffled(self, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        sampler = SeedableRandomSampler(range(len(self)), data_seed=seed)
        sampler.set_epoch(epoch)
        return [np.array(places) for places in BatchSampler(sampler, batch_size, drop_last=False)]


def main() -> None:
    """Train, evaluate, tell."""
    given = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(train(given, TASKS[given.task], Path(folder)).told())


def train(given: argparse.Namespace, task: GlueTask, folder: Path) -> Run:
    """As `stages.finetune` does it; ``folder`` is for what it needs on its way."""
    data, checkpoint = given.glue / given.task, given.checkpoint
    dtype = precision.set_up(Engine(precision="auto", threads=given.threads))
    family = "classification" if task.labels else "regression"
    job = Job(
        pretrained=checkpoint,
        train=examples(data / "train.parquet", task, checkpoint, folder),
        validation=examples(data / "validation.parquet", task, checkpoint, folder, BATCH if given.steps else None),
        family=tasks.FAMILIES[family](Task(family=family, labels=task.labels, metric=task.metric)),
        max_length=LENGTH,
        seed=given.seed,
        dtype=dtype,
        checkpoint=Checkpoint(folder, "run", {}),
        observer=(clock := Clock()),
        pooling="first",
    )
    method = ToTheEnd(
        ToTheEnd.Options(
            learning_rate=LEARNING_RATE, imported_learning_rate=LEARNING_RATE, epochs=EPOCHS, batch_size=BATCH,
            warmup=0.0, weight_decay=0.0, patience=EPOCHS, schedule="linear", dropout=DROPOUT, head="drawn",
        )
    )  # fmt: skip
    method.steps, method.head = given.steps, head(checkpoint, task, given.seed)
    model = backbone.load(checkpoint, job.pooling).to(device.find())
    started = time.perf_counter()
    (last,) = method.fit(model, job).curve
    return Run(last["score"], (clock.last - started) / last["step"])


def head(checkpoint: Path, task: GlueTask, seed: int) -> nn.Module:
    """What transformers draws."""
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(seed)
    drawn: nn.Module = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=len(task.labels) or 1
    ).classifier
    return drawn


def examples(source: Path, task: GlueTask, checkpoint: Path, folder: Path, limit: int | None = None) -> Examples:
    """Rows of a table, with its texts in the columns that tasks have them in."""
    tokenization, columns = Tokenization.of(checkpoint, LENGTH), pq.read_table(source).slice(0, limit)
    names = TEXT_COLUMNS[: len(task.texts)]
    renamed = dict(zip(names, (columns[name] for name in task.texts), strict=True))
    pq.write_table(pa.table({**renamed, "label": columns["label"]}), table := folder / source.name)
    assert tokenization.tokenizer is not None
    store = encode.encode_rows(tokenization.tokenizer, table, np.arange(len(columns)))
    return Ordered(store, np.arange(len(columns)), LENGTH, tokenization.pad_id)


if __name__ == "__main__":
    main()
