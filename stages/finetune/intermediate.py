"""Fitting all weights to another task first (Phang et al. 2018, STILTs; Liu et al. 2019, RoBERTa, §5.1).

It is done within the run of the task itself. The other task's own fine-tuned model would do as well, but that is
another cell of the same matrix, and an edge between cells can be drawn for all of them only or for none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from stages import artifacts, paths
from stages import task as task_files
from stages.finetune import examples, tasks
from stages.finetune.examples import Examples
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.methods.few_shot import FewShot
from stages.finetune.methods.full import Full
from stages.finetune.methods.zero_shot import ZeroShot
from stages.finetune.tokenization import Tokenization
from stages.model.backbone import Backbone
from stages.params import Params, parse
from stages.task import Intermediate
from stages.tokenizer import files as tokenizer_files
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer

UNTUNED = (ZeroShot, FewShot)
"""Methods that ask the pre-trained model as it is: nothing comes before them."""


def fit(
    settings: Params, task: str, method: Method, pretrained: Backbone, tokenization: Tokenization, job: Job
) -> Tuned:
    """What the method makes of the pre-trained model, or of what the task's intermediate task has made of that.

    What was trained is then all of it, for no other run has the weights that the method began with.

    Raises:
        StageError: the task's folder in data/intermediate is missing or damaged.
    """
    listing = paths.intermediate(task) / task_files.INTERMEDIATE
    before = parse(Intermediate, artifacts.read_json(listing), str(listing))
    if before.task is None or isinstance(method, UNTUNED):
        return method.fit(pretrained, job)
    checkpoint = _checkpoint(settings, task, job)
    full = Full(parse(Full.Options, before.options, f"{listing}: options"))
    full.fit(pretrained, replace(_job(settings, task, before.task, tokenization, job), checkpoint=checkpoint))
    tuned = method.fit(pretrained, job)
    checkpoint.discard()
    return tuned if tuned.trained is None else replace(tuned, trained=frozenset(tuned.model.state_dict()))


def _job(settings: Params, task: str, before: str, tokenization: Tokenization, job: Job) -> Job:
    """The same with the examples of the task that comes before."""
    tokenizer = tokenization.tokenizer or tokenizer_files.load(paths.TOKENIZER)
    limits = settings.finetune
    train = _read(task, "train", tokenizer, tokenization, limits.max_train_examples, job.seed)
    validation = _read(task, "validation", tokenizer, tokenization, limits.max_validation_examples, 0)
    examples.check_labels(before, train, validation)
    family = tasks.of(before, task_files.read_from(paths.intermediate(task)))
    return replace(job, train=train, validation=validation, family=family, observer=Before(job.observer))


def _read(task: str, split: str, tokenizer: Tokenizer, tokenization: Tokenization, limit: int, seed: int) -> Examples:
    store = examples.encode_now(paths.intermediate(task) / f"{split}.parquet", tokenizer, limit, seed)
    return Examples(store, np.arange(len(store)), tokenization.max_length, tokenization.pad_id)


def _checkpoint(settings: Params, task: str, job: Job) -> Checkpoint:
    """Beside that of the run, and kept until the run has trained: whoever resumes it trains nothing again."""
    inputs = {
        "finetune": settings.finetune.model_dump(exclude={"methods", "intermediate"}),
        "engine": settings.engine.model_dump(),
        "run": [job.seed, job.max_length],
        "data": [artifacts.md5(path) for path in (paths.intermediate(task), job.pretrained, paths.TOKENIZER)],
    }
    return Checkpoint(job.checkpoint.path.parent, f"{job.checkpoint.path.stem}-intermediate", inputs)


@dataclass(frozen=True)
class Before:
    """An `Observer` that tells figures on the intermediate task from those on the task."""

    watched: Observer

    def step(self, step: int, tokens: int, loss: float) -> None:
        """A step is a step."""
        self.watched.step(step, tokens, loss)

    def evaluated(self, row: dict[str, float]) -> None:
        """Rename the figures."""
        places = ("step", "tokens")
        self.watched.evaluated({name if name in places else f"intermediate.{name}": row[name] for name in row})
