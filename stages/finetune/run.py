"""One fine-tuning run: a pre-trained model, a task, a method, a seed."""

from __future__ import annotations

from stages import artifacts, paths
from stages.errors import StageError
from stages.finetune import examples, methods
from stages.finetune.methods.base import Job, Method, Tuned
from stages.model import files
from stages.params import Params, options
from stages.training import device, precision
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer


def finetune(
    settings: Params, task: str, objective: str, method: str, seed: int, checkpoint: Checkpoint, observer: Observer
) -> Tuned:
    """Fit the pre-trained model of this objective and seed to the task, or resume that from ``checkpoint``."""
    dtype = precision.set_up(settings.engine)
    length = settings.finetune.max_length
    train = examples.load(task, "train", length)
    job = Job(
        train=train.sample(settings.finetune.max_train_examples, seed),
        validation=examples.validation(task, settings.finetune),
        labels=examples.labels(task),
        max_length=length,
        seed=seed,
        dtype=dtype,
        checkpoint=checkpoint,
        observer=observer,
    )
    _check_labels(job, task)
    pretrained = files.load(paths.pretrained(objective, seed)).model.to(device.find())
    return _method(settings, method).fit(pretrained, job)


def _method(settings: Params, name: str) -> Method:
    kind = methods.get(name)
    return kind(options(kind.Options, settings.methods, "methods", name))


def _check_labels(job: Job, task: str) -> None:
    for name, part in (("train", job.train), ("validation", job.validation)):
        if len(set(part.labels.tolist())) < 2:
            raise StageError(
                f"task {task}: the {len(part)} {name} examples in use are all of one class; "
                "raise finetune.max_train_examples or look at the source"
            )


def checkpoint_of(settings: Params, task: str, objective: str, method: str, seed: int) -> Checkpoint:
    """Where this run keeps its state until its result is written; it belongs to all that decides the result."""
    inputs = {
        "run": [task, objective, method, seed],
        "options": _method(settings, method).options.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"methods"}),
        "engine": settings.engine.model_dump(),
        "data": [artifacts.md5(path) for path in (paths.encoded(task), paths.pretrained(objective, seed))],
    }
    return Checkpoint(paths.STATE / "checkpoints", f"finetune-{task}-{objective}-{method}-{seed}", inputs)
