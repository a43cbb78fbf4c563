"""The training loop, for pre-training and fine-tuning alike.

A `Workload` says what to learn: its loss at a step, and how it is evaluated. The loop owns the rest: schedule,
gradients, evaluation points, early stopping, checkpoints and exact resumption; and where several processes train one
model, each goes through it (`stages.training.distributed`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from stages.errors import StageError
from stages.training import distributed
from stages.training.checkpoint import Checkpoint, State
from stages.training.loss import Loss
from stages.training.optimizer import Optimizers
from stages.training.schedule import SHAPES

CHECKPOINT_SECONDS = 30.0
"""How much work a kill may cost. When a checkpoint is written does not touch the result."""


class Workload(Protocol):
    """What is learnt."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def loss(self, step: int) -> Loss:
        """The loss of the batch that belongs to ``step``, or of this process's share of it.

        A function of the step, the weights and the share alone.
        """

    def evaluate(self) -> dict[str, float]:
        """Figures on held-out data; touches no state."""


class Observer(Protocol):
    """Who watches: a progress bar, a tracking server."""

    def step(self, step: int, tokens: int, loss: float) -> None:
        """A step was done; ``loss`` is its mean."""

    def evaluated(self, row: dict[str, float]) -> None:
        """A row was added to the curve."""


@dataclass(frozen=True)
class Plan:
    """How long to train, and how.

    Attributes:
        steps: optimizer steps; None takes as many as ``seconds`` allow.
        evaluations: how often to evaluate, evenly spaced; the last one after the last step.
        warmup, decay: shares of the run, see `stages.training.schedule.trapezoid`.
        shape: of the learning rate, one of `stages.training.schedule.SHAPES`.
        max_grad_norm: gradients are scaled down to this norm.
        best_by: figure whose highest value decides which weights are kept; None keeps the last.
        patience: evaluations without a better ``best_by`` after which to stop; None never does.
        seconds: of training, evaluations apart, where no number of steps is given. No two such runs are alike.
    """

    steps: int | None
    evaluations: int
    warmup: float
    decay: float
    max_grad_norm: float
    best_by: str | None = None
    patience: int | None = None
    seconds: float | None = None
    shape: str = "trapezoid"

    def progress(self, step: float, seconds: float) -> float:
        """The share of the run that is done after ``step`` steps and ``seconds`` of training."""
        if self.steps is not None:
            return step / self.steps if self.steps else 1.0
        return min(1.0, seconds / self.seconds) if self.seconds else 1.0

    def evaluates_between(self, before: float, after: float) -> bool:
        """Whether an evaluation is due when the run went from one share done to the other."""
        times = self.evaluations if self.steps is None else min(self.evaluations, self.steps)
        return math.floor(after * times + 1e-9) > math.floor(before * times + 1e-9)


def train(
    workload: Workload, optimizers: Optimizers, plan: Plan, checkpoint: Checkpoint, observer: Observer
) -> list[dict[str, float]]:
    """Train until the plan is done or patience is out; the model then holds the kept weights.

    Returns:
        The curve: per evaluation ``step``, ``tokens``, ``flops`` where they are counted, ``train_loss`` (mean since the
        last one) and the workload's own figures.

    Raises:
        StageError: the loss is not finite.
    """
    state = checkpoint.load(workload.model, optimizers)
    workload = distributed.shared(workload)
    saved, kept = time.monotonic(), state.step
    while (before := plan.progress(state.step, state.seconds)) < 1 and not _out_of_patience(plan, state):
        tokens, mean = step(workload, optimizers, plan, state)
        observer.step(state.step, tokens, mean)
        if plan.evaluates_between(before, plan.progress(state.step, state.seconds)):
            observer.evaluated(_evaluate(workload, plan, state))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            checkpoint.save(state, workload.model, optimizers)
            saved, kept = time.monotonic(), state.step
    if state.step > kept:
        checkpoint.save(state, workload.model, optimizers)
    if state.best:
        workload.model.load_state_dict(state.best)
    return state.curve


def step(workload: Workload, optimizers: Optimizers, plan: Plan, state: State) -> tuple[int, float]:
    """Do the step that the state is at, and count it.

    Returns:
        The tokens of its batch, and their mean loss.

    Raises:
        StageError: the loss is not finite.
    """
    started = time.perf_counter()
    workload.model.train()
    loss = workload.loss(state.step)
    total = loss.value
    value = distributed.average(total.item())
    if not math.isfinite(value):
        raise StageError(f"training: the loss is {value} at step {state.step}: lower the learning rate")
    total.backward()
    nn.utils.clip_grad_norm_(workload.model.parameters(), plan.max_grad_norm)
    optimizers.step(SHAPES[plan.shape](plan.progress(state.step + 0.5, state.seconds), plan.warmup, plan.decay))
    state.step += 1
    state.tokens += loss.tokens
    state.flops += loss.flops
    state.window_loss += value * loss.count
    state.window_count += loss.count
    state.seconds = distributed.average(state.seconds + time.perf_counter() - started)
    return loss.tokens, value


def _evaluate(workload: Workload, plan: Plan, state: State) -> dict[str, float]:
    """Add a row to the curve, and keep the weights if they are the best so far."""
    workload.model.eval()
    with torch.no_grad():
        figures = workload.evaluate()
    spent = {"step": state.step, "tokens": state.tokens} | ({"flops": state.flops} if state.flops else {})
    row = {**spent, "train_loss": state.window_loss / state.window_count, **figures}
    state.window_loss, state.window_count = 0.0, 0
    state.curve.append(row)
    if plan.best_by and (state.best_row < 0 or row[plan.best_by] > state.curve[state.best_row][plan.best_by]):
        state.best_row = len(state.curve) - 1
        state.best = {key: value.detach().clone() for key, value in workload.model.state_dict().items()}
    return row


def _out_of_patience(plan: Plan, state: State) -> bool:
    since_best = len(state.curve) - 1 - state.best_row
    return plan.patience is not None and state.best_row >= 0 and since_best >= plan.patience
