"""One fine-tuning run: a pre-trained model, a task, a method, a seed."""

from __future__ import annotations

from stages import artifacts, paths
from stages.errors import StageError
from stages.finetune import examples, methods, tasks
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.tokenization import Tokenization
from stages.model import backbone
from stages.model.backbone import Backbone
from stages.params import Params, options
from stages.training import device, precision
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer


def finetune(
    settings: Params, task: str, objective: str, method: str, seed: int, checkpoint: Checkpoint, observer: Observer
) -> Tuned:
    """Fit the pre-trained model of this objective and seed to the task, or resume that from ``checkpoint``."""
    dtype, folder = precision.set_up(settings.engine), paths.pretrained(objective, seed)
    pretrained = backbone.load(folder).to(device.find())
    tokenization = Tokenization.of(folder, _length(settings, pretrained))
    job = Job(
        train=examples.load(task, "train", tokenization, settings.finetune.max_train_examples, seed),
        validation=examples.validation(task, tokenization, settings.finetune),
        family=tasks.read(task),
        max_length=tokenization.max_length,
        seed=seed,
        dtype=dtype,
        checkpoint=checkpoint,
        observer=observer,
    )
    _check_labels(job, task)
    return _method(settings, method).fit(pretrained, job)


def _length(settings: Params, pretrained: Backbone) -> int:
    """What texts are cut to: what is asked for, or less if the model has no more positions."""
    return min(settings.finetune.max_length, pretrained.positions or settings.finetune.max_length)


def _method(settings: Params, name: str) -> Method:
    kind = methods.get(name)
    return kind(options(kind.Options, settings.methods, "methods", name))


def _check_labels(job: Job, task: str) -> None:
    for name, part in (("train", job.train), ("validation", job.validation)):
        if len(set(part.labels.tolist())) < 2:
            raise StageError(
                f"task {task}: the {len(part)} {name} examples in use all have one label; "
                "raise finetune.max_train_examples or look at the source"
            )


def checkpoint_of(settings: Params, task: str, objective: str, method: str, seed: int) -> Checkpoint:
    """Where this run keeps its state until its result is written; it belongs to all that decides the result."""
    data = (paths.encoded(task), paths.task(task), paths.pretrained(objective, seed))
    inputs = {
        "run": [task, objective, method, seed],
        "options": _method(settings, method).options.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"methods"}),
        "engine": settings.engine.model_dump(),
        "data": [artifacts.md5(path) for path in data],
    }
    return Checkpoint(paths.STATE / "checkpoints", f"finetune-{task}-{objective}-{method}-{seed}", inputs)
