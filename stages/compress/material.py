"""The examples that a task's selected model was fitted to, for those compressors that look at data."""

from __future__ import annotations

from stages import artifacts, paths
from stages.compress.methods.base import Material
from stages.finetune import tasks
from stages.finetune.tokenization import Tokenization
from stages.model import classifier
from stages.params import Params
from stages.training import precision
from stages.training.loop import Observer

CHECKPOINTS = "compress"


def gather(settings: Params, task: str, compressor: str, observer: Observer) -> Material:
    """What the compressors of an entry of `params.yaml` may look at.

    Raises:
        StageError: a file of the model or of the task is missing or damaged, or a split is empty.
    """
    source, family = paths.selected(task), tasks.read(task)
    seed = int(artifacts.read_json(source / "run.json")["seed"])
    tokenization = Tokenization.of(source, classifier.load_config(source).max_length)
    return Material(
        source=source,
        train=family.examples(task, "train", tokenization, settings.finetune.max_train_examples, seed),
        validation=family.validation(task, tokenization, settings.finetune),
        family=family,
        seed=seed,
        dtype=precision.set_up(settings.engine),
        observer=observer,
        checkpoints=paths.STATE / "checkpoints" / CHECKPOINTS / task / compressor,
        inputs=_inputs(settings, task, compressor),
    )


def _inputs(settings: Params, task: str, compressor: str) -> dict[str, object]:
    """All that decides what is trained."""
    limits = settings.finetune
    return {
        "compressor": settings.compressors[compressor],
        "engine": settings.engine.model_dump(),
        "examples": [limits.max_train_examples, limits.max_validation_examples],
        "data": [artifacts.md5(path) for path in (paths.encoded(task), paths.task(task), paths.selected(task))],
    }
