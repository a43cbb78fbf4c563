"""One fine-tuning run: a pre-trained model, a task, a method, a seed."""

from __future__ import annotations

from stages import artifacts, paths
from stages.errors import StageError
from stages.finetune import examples, methods
from stages.finetune.methods.base import Job, Tuned
from stages.model import files
from stages.params import Params, options
from stages.training import precision
from stages.training.checkpoint import Checkpoint, fingerprint_versions
from stages.training.loop import Observer


def finetune(settings: Params, task: str, objective: str, method: str, seed: int, observer: Observer) -> Tuned:
    """Fit the pre-trained model of this objective and seed to the task, or resume that."""
    kind = methods.get(method)
    chosen = options(kind.Options, settings.methods, "methods", method)
    dtype = precision.set_up(settings.engine)
    length = settings.finetune.max_length
    train = examples.load(task, "train", length)
    job = Job(
        train=train.sample(settings.finetune.max_train_examples, seed),
        validation=examples.validation(task, settings.finetune),
        labels=tuple(settings.task(task)[0].labels),
        max_length=length,
        seed=seed,
        dtype=dtype,
        checkpoint=_checkpoint(settings, task, objective, method, seed),
        observer=observer,
    )
    _check_labels(job, task)
    return kind(chosen).fit(files.load(paths.pretrained(objective, seed)).model, job)


def _check_labels(job: Job, task: str) -> None:
    for name, part in (("train", job.train), ("validation", job.validation)):
        if len(set(part.labels.tolist())) < 2:
            raise StageError(
                f"task {task}: the {len(part)} {name} examples in use are all of one class; "
                "raise finetune.max_train_examples or look at the source"
            )


def _checkpoint(settings: Params, task: str, objective: str, method: str, seed: int) -> Checkpoint:
    inputs = {
        "run": [task, objective, method, seed],
        "options": settings.methods[method],
        "finetune": settings.finetune.model_dump(exclude={"methods"}),
        "engine": settings.engine.model_dump(),
        "data": [artifacts.md5(path) for path in (paths.encoded(task), paths.pretrained(objective, seed))],
        "versions": fingerprint_versions(),
    }
    return Checkpoint(paths.STATE / "checkpoints", f"finetune-{task}-{objective}-{method}-{seed}", inputs)
