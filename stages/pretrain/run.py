"""One pre-training run: from the packed corpus to a trained model."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stages import artifacts, paths, token_store
from stages.errors import StageError
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params, Pretrain, options
from stages.pretrain import objectives
from stages.pretrain.objectives.base import Objective
from stages.pretrain.sequences import Sequences, ShuffledBatches
from stages.pretrain.workload import Pretraining
from stages.training import device, optimizer, precision, randomness
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer, Plan, train


@dataclass(frozen=True)
class Pretrained:
    """A trained model, and its curve as `stages.training.loop.train` returns it."""

    model: LanguageModel
    curve: list[dict[str, float]]


def pretrain(settings: Params, name: str, seed: int, checkpoint: Checkpoint, observer: Observer) -> Pretrained:
    """Train one objective with one seed on the budget of `params.yaml`, or resume that from ``checkpoint``."""
    dtype = precision.set_up(settings.engine)
    objective = build_objective(settings, name)
    config = TransformerConfig.of(settings.model, objective.vocab_size, objective.causal)
    model = LanguageModel(config)
    initialize(model, randomness.torch_generator(seed, "initialization"))
    model.to(device.find())
    workload = _workload(settings, model, objective, seed, dtype)
    if not objective.trains:
        return Pretrained(model, [{"step": 0, "tokens": 0, **_untrained(workload)}])
    optimizers = optimizer.muon_adamw(
        model,
        learning_rate=settings.pretrain.learning_rate,
        matrix_learning_rate=settings.pretrain.matrix_learning_rate,
        weight_decay=settings.pretrain.weight_decay,
        dtype=dtype,
    )
    curve = train(workload, optimizers, _plan(settings.pretrain), checkpoint, observer)
    return Pretrained(model, curve)


def build_objective(settings: Params, name: str) -> Objective:
    """The objective with its options from `params.yaml`."""
    kind = objectives.get(name)
    chosen = options(kind.Options, settings.objectives, "objectives", name)
    return kind(chosen, settings.tokenizer.vocab_size)


def steps_of(settings: Pretrain) -> int:
    """Optimizer steps that the token budget buys.

    Raises:
        StageError: it buys none.
    """
    batch = settings.batch_size * settings.sequence_length
    if settings.budget.tokens < batch:
        raise StageError(
            f"params.yaml: pretrain.budget.tokens: {settings.budget.tokens} buys no step; one batch of "
            f"{settings.batch_size} sequences of {settings.sequence_length} takes {batch}"
        )
    return settings.budget.tokens // batch


def _plan(settings: Pretrain) -> Plan:
    return Plan(
        steps=steps_of(settings),
        evaluations=settings.evaluations,
        warmup=settings.warmup,
        decay=settings.decay,
        max_grad_norm=settings.max_grad_norm,
    )


def _workload(
    settings: Params, model: LanguageModel, objective: Objective, seed: int, dtype: torch.dtype
) -> Pretraining:
    length = settings.pretrain.sequence_length
    training, held_out = (token_store.read(paths.PACKED / split) for split in ("train", "validation"))
    return Pretraining(
        model,
        objective,
        ShuffledBatches(Sequences(training, length, "data/packed/train"), settings.pretrain.batch_size, seed),
        Sequences(held_out, length, "data/packed/validation"),
        bytes_per_token=float(held_out.bytes.sum()) / len(held_out.tokens),
        seed=seed,
        dtype=dtype,
    )


def _untrained(workload: Pretraining) -> dict[str, float]:
    workload.model.eval()
    with torch.no_grad():
        return workload.evaluate()


def checkpoint_of(settings: Params, name: str, seed: int) -> Checkpoint:
    """Where this run keeps its state until its result is written; it belongs to all that decides the result."""
    inputs = {
        "objective": name,
        "seed": seed,
        "options": build_objective(settings, name).options.model_dump(),
        "pretrain": settings.pretrain.model_dump(exclude={"objectives"}),
        "model": settings.model.model_dump(),
        "engine": settings.engine.model_dump(),
        "data": [artifacts.md5(path) for path in (paths.TOKENIZER, paths.PACKED)],
    }
    return Checkpoint(paths.STATE / "checkpoints", f"pretrain-{name}-{seed}", inputs)
