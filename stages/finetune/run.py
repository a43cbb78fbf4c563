"""One fine-tuning run: a pre-trained model, a task, a method, a seed."""

from __future__ import annotations

from stages import artifacts, paths
from stages.errors import StageError
from stages.finetune import examples, intermediate, methods, tasks
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.tokenization import Tokenization
from stages.model import backbone
from stages.model.backbone import Backbone
from stages.params import Params, options
from stages.training import device, precision
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer

MIN_LENGTH = 8
"""Tokens of a text; `finetune.max_length` may be no less."""


def finetune(
    settings: Params, task: str, objective: str, method: str, seed: int, checkpoint: Checkpoint, observer: Observer
) -> Tuned:
    """Fit the pre-trained model of this objective and seed to the task, or resume that from ``checkpoint``."""
    dtype, folder = precision.set_up(settings.engine), paths.pretrained(objective, seed)
    family = tasks.read(task)
    pooling = family.pooling(settings.finetune)
    pretrained = backbone.load(folder, pooling).to(device.find())
    chosen = method_of(settings, method)
    tokenization = Tokenization.of(folder, _length(settings, pretrained, method, chosen))
    job = Job(
        pretrained=folder,
        train=family.examples(task, "train", tokenization, settings.finetune.max_train_examples, seed),
        validation=family.validation(task, tokenization, settings.finetune),
        family=family,
        max_length=tokenization.max_length,
        seed=seed,
        dtype=dtype,
        checkpoint=checkpoint,
        observer=observer,
        pooling=pooling,
    )
    examples.check_labels(task, job.train, job.validation)
    return intermediate.fit(settings, task, chosen, pretrained, tokenization, job)


def _length(settings: Params, pretrained: Backbone, name: str, method: Method) -> int:
    """What texts are cut to: what is asked for, or less if the model has no more positions for them."""
    if pretrained.positions is None:
        return settings.finetune.max_length
    if (left := pretrained.positions - method.virtual_tokens) < MIN_LENGTH:
        raise StageError(
            f"params.yaml: methods.{name}: virtual_tokens is {method.virtual_tokens}, but the model has only "
            f"{pretrained.positions} positions, and texts need {MIN_LENGTH} of them"
        )
    return min(settings.finetune.max_length, left)


def method_of(settings: Params, name: str) -> Method:
    """A method, with its options from `params.yaml`.

    Raises:
        StageError: there is none of that name, or an option is wrong.
    """
    kind = methods.get(name)
    return kind(options(kind.Options, settings.methods, "methods", name))


def checkpoint_of(settings: Params, task: str, objective: str, method: str, seed: int) -> Checkpoint:
    """Where this run keeps its state until its result is written; it belongs to all that decides the result."""
    data = (paths.encoded(task), paths.intermediate(task), paths.task(task), paths.pretrained(objective, seed))
    inputs = {
        "run": [task, objective, method, seed],
        "options": method_of(settings, method).options.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"methods", "intermediate"}),
        "engine": settings.engine.model_dump(),
        "data": [artifacts.md5(path) for path in data],
    }
    return Checkpoint(paths.STATE / "checkpoints", f"finetune-{task}-{objective}-{method}-{seed}", inputs)
