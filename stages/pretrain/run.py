"""One pre-training run: from the packed corpus to a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages import artifacts, paths
from stages.model import files
from stages.model.config import ScoringMode, TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params
from stages.pretrain import budget, curriculum, start
from stages.pretrain.curriculum import Phase
from stages.pretrain.material import CORPORA, Material
from stages.pretrain.objectives.base import Objective
from stages.pretrain.workload import Batching, Pretraining
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.vocabulary import Vocabulary
from stages.training import device, precision, randomness
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Observer, Plan, train
from stages.training.observer import Onward, onward
from stages.training.optimizer import Optimizers, muon_adamw

Curve = list[dict[str, float]]
SPENT = ("step", "tokens", "flops")
"""Columns of a curve that go on counting from one phase to the next."""


@dataclass(frozen=True)
class Pretrained:
    """A trained model, and the curve of its run: the phases' curves one after another, numbered from 0.

    ``scoring``: how the model finds texts likely, as its last phase leaves it.
    """

    model: LanguageModel
    curve: Curve
    scoring: Sequence[ScoringMode]

    def save(self, target: Path) -> tuple[Curve, int]:
        """Write the model with its tokenizer; the curve, and the number of parameters."""
        files.save(target, self.model, paths.TOKENIZER, self.scoring)
        return self.curve, sum(tensor.numel() for tensor in files.load(target).parameters())


@dataclass(frozen=True)
class Stepper:
    """A phase that is ready to be trained, step by step: `stages.training.loop.step`."""

    workload: Pretraining
    optimizers: Optimizers
    plan: Plan


class Run:
    """An entry of ``objectives`` with one seed, on the budget of `params.yaml`; resumed where it was left."""

    def __init__(self, settings: Params, name: str, seed: int) -> None:
        """
        Raises:
            StageError: the entry is not there, has bad options, or the tokenizer is missing.
        """
        self._settings, self._name, self._seed = settings, name, seed
        vocabulary = Vocabulary.of(tokenizer_files.load(paths.TOKENIZER), settings.tokenizer.vocab_size)
        self._encoder = TransformerConfig.of(settings.model, vocabulary.size)
        entry = curriculum.read(settings, name, vocabulary)
        self._start, self._phases = entry.start, entry.phases
        self._checkpoints = [self._checkpoint(index) for index in range(len(self._phases))]

    @property
    def is_adopted(self) -> bool:
        """Whether it is a checkpoint that is taken as it is, so that there is nothing to train."""
        return not self._phases

    def adopt(self, target: Path) -> tuple[Curve, int]:
        """Copy that checkpoint; a curve of one point that no loss belongs to, and the number of parameters."""
        parameters = start.adopt(paths.gathered(self._name) / start.FOLDER, target)
        return [dict.fromkeys(SPENT, 0)], parameters

    @property
    def tokens(self) -> int | None:
        """What it will have seen in the end; None if that is not known before."""
        steps = [self._plan(phase).steps for phase in self._phases if phase.objective.trains]
        known = [count for count in steps if count is not None]
        return self._batching().tokens * sum(known) if len(known) == len(steps) else None

    def train(self, observer: Observer) -> Pretrained:
        """Train all phases, each from the weights that the one before it left.

        Raises:
            StageError: the checkpoint to start from is of another block, size or vocabulary; or there is no phase.
        """
        dtype = precision.set_up(self._settings.engine)
        curve: Curve = []
        spent: dict[str, float] = dict.fromkeys(SPENT, 0)
        weights = self._weights_to_start_from()
        for number, (phase, checkpoint) in enumerate(zip(self._phases, self._checkpoints, strict=True)):
            model = self._model(phase.objective, weights)
            rows = self._train(phase, model, checkpoint, Onward(observer, spent), dtype)
            curve += [onward(row, spent) | {"phase": number} for row in rows]
            weights, spent = model.state_dict(), {name: curve[-1][name] for name in SPENT}
        return Pretrained(model, curve, phase.objective.scoring)

    def _weights_to_start_from(self) -> dict[str, Tensor]:
        if not self._start:
            return {}
        return start.weights(paths.gathered(self._name) / start.FOLDER, self._encoder, f"checkpoints.{self._start}")

    def discard(self) -> None:
        """Forget the way there, once the result is written."""
        for checkpoint in self._checkpoints:
            checkpoint.discard()

    def _model(self, objective: Objective[Any], weights: Mapping[str, Tensor]) -> LanguageModel:
        model = objective.build(objective.configure(self._encoder))
        initialize(model, randomness.torch_generator(self._seed, "initialization"))
        own = model.state_dict()
        model.load_state_dict({**own, **{name: value for name, value in weights.items() if name in own}})
        return model.to(device.find())

    def _train(
        self, phase: Phase, model: LanguageModel, checkpoint: Checkpoint, observer: Observer, dtype: torch.dtype
    ) -> Curve:
        workload = self._workload(phase, model, dtype)
        at_first = _measured(workload) if phase.corpus or not phase.objective.trains else []
        if not phase.objective.trains:
            return at_first
        return at_first + train(workload, self._optimizers(model, dtype), self._plan(phase), checkpoint, observer)

    def _workload(self, phase: Phase, model: LanguageModel, dtype: torch.dtype) -> Pretraining:
        corpus, earlier = phase.objective.corpus(self._material()), None
        if phase.corpus:
            earlier = corpus
            further = phase.objective.corpus(self._material(phase.corpus))
            corpus = further.replaying(earlier, phase.replay)
        batching = self._batching()
        return Pretraining(model, phase.objective, corpus, batching, seed=self._seed, dtype=dtype, earlier=earlier)

    def _optimizers(self, model: LanguageModel, dtype: torch.dtype) -> Optimizers:
        settings = self._settings.pretrain
        return muon_adamw(
            model,
            learning_rate=settings.learning_rate,
            matrix_learning_rate=settings.matrix_learning_rate,
            weight_decay=settings.weight_decay,
            dtype=dtype,
        )

    def steppers(self) -> list[Stepper]:
        """Each phase that trains, on a fresh model, to be stepped by whoever measures it."""
        dtype = precision.set_up(self._settings.engine)
        return [self._stepper(phase, dtype) for phase in self._phases if phase.objective.trains]

    def _stepper(self, phase: Phase, dtype: torch.dtype) -> Stepper:
        model = self._model(phase.objective, {})
        return Stepper(self._workload(phase, model, dtype), self._optimizers(model, dtype), self._plan(phase))

    def _plan(self, phase: Phase) -> Plan:
        config = phase.objective.configure(self._encoder)
        return budget.plan(self._settings.pretrain, phase.objective, config, phase.share)

    def _batching(self) -> Batching:
        return Batching(self._settings.pretrain.batch_size, self._settings.pretrain.sequence_length)

    def _material(self, corpus: str | None = None) -> Material:
        settings, gathered = self._settings.pretrain, paths.gathered(self._name)
        return Material(
            packed=gathered / CORPORA / corpus if corpus else paths.PACKED,
            gathered=gathered,
            sequence_length=settings.sequence_length,
            document_mask=settings.document_mask,
            seed=self._seed,
        )

    def _checkpoint(self, index: int) -> Checkpoint:
        """Where a phase keeps its state; it belongs to all that decides the result."""
        inputs = {
            "entry": self._settings.objectives[self._name],
            "seed": self._seed,
            "phase": index,
            "pretrain": self._settings.pretrain.model_dump(exclude={"objectives"}),
            "model": self._settings.model.sizes(),
            "engine": self._settings.engine.model_dump(),
            "data": [artifacts.md5(path) for path in (paths.TOKENIZER, paths.PACKED, paths.gathered(self._name))],
        }
        return Checkpoint(paths.STATE / "checkpoints", f"pretrain-{self._name}-{self._seed}-{index}", inputs)


def _measured(workload: Pretraining) -> Curve:
    """A point of the curve before anything is learnt."""
    workload.model.eval()
    with torch.no_grad():
        return [{"step": 0, "tokens": 0, "flops": 0, **workload.evaluate()}]


def summary(curve: Curve) -> dict[str, float]:
    """Where a run ended; with a further corpus, also by how much the loss on the corpus rose from when it began."""
    figures = {name: value for name, value in curve[-1].items() if name not in ("phase", "train_loss")}
    earlier = [row["earlier_loss"] for row in curve if "earlier_loss" in row]
    return figures | ({"forgotten": earlier[-1] - earlier[0]} if earlier else {})
