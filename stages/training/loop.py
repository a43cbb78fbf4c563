"""The training loop, for pre-training and fine-tuning alike.

A `Workload` says what to learn: its loss at a step, and how it is evaluated. The loop owns the rest: schedule,
gradients, evaluation points, early stopping, checkpoints and exact resumption.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from stages.errors import StageError
from stages.training.checkpoint import Checkpoint, State
from stages.training.optimizer import Optimizers
from stages.training.schedule import trapezoid

CHECKPOINT_SECONDS = 30.0
"""How much work a kill may cost. When a checkpoint is written does not touch the result."""


@dataclass(frozen=True)
class Loss:
    """A batch's loss as a sum, so that batches of unequal size can be weighted rightly.

    Attributes:
        total: summed loss, differentiable scalar.
        count: targets it is summed over.
        tokens: tokens the batch took from the budget.
    """

    total: Tensor
    count: int
    tokens: int


class Workload(Protocol):
    """What is learnt."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def loss(self, step: int) -> Loss:
        """The loss of the batch that belongs to ``step``; a function of the step and the weights alone."""

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
        steps: optimizer steps.
        evaluations: how often to evaluate, evenly spaced; the last one after the last step.
        warmup, decay: shares of the run, see `stages.training.schedule.trapezoid`.
        max_grad_norm: gradients are scaled down to this norm.
        best_by: figure whose highest value decides which weights are kept; None keeps the last.
        patience: evaluations without a better ``best_by`` after which to stop; None never does.
    """

    steps: int
    evaluations: int
    warmup: float
    decay: float
    max_grad_norm: float
    best_by: str | None = None
    patience: int | None = None

    def evaluates_after(self, step: int) -> bool:
        """Whether an evaluation is due once ``step`` (counted from 0) is done."""
        done, share = step + 1, self.steps / min(self.evaluations, self.steps)
        return math.floor(done / share + 1e-9) > math.floor((done - 1) / share + 1e-9)


def train(
    workload: Workload, optimizers: Optimizers, plan: Plan, checkpoint: Checkpoint, observer: Observer
) -> list[dict[str, float]]:
    """Train until the plan is done or patience is out; the model then holds the kept weights.

    Returns:
        The curve: per evaluation ``step``, ``tokens``, ``train_loss`` (mean since the last one) and the
        workload's own figures.

    Raises:
        StageError: the loss is not finite.
    """
    state = checkpoint.load(workload.model, optimizers)
    saved = time.monotonic()
    while state.step < plan.steps and not _out_of_patience(plan, state):
        loss = _step(workload, optimizers, plan, state)
        observer.step(state.step, loss.tokens, loss.total.item() / loss.count)
        if plan.evaluates_after(state.step - 1):
            observer.evaluated(_evaluate(workload, plan, state))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            checkpoint.save(state, workload.model, optimizers)
            saved = time.monotonic()
    if state.best:
        workload.model.load_state_dict(state.best)
    return state.curve


def _step(workload: Workload, optimizers: Optimizers, plan: Plan, state: State) -> Loss:
    workload.model.train()
    loss = workload.loss(state.step)
    if not torch.isfinite(loss.total):
        raise StageError(f"training: the loss is {loss.total.item()} at step {state.step}: lower the learning rate")
    (loss.total / loss.count).backward()
    nn.utils.clip_grad_norm_(workload.model.parameters(), plan.max_grad_norm)
    optimizers.step(trapezoid((state.step + 0.5) / plan.steps, plan.warmup, plan.decay))
    state.step += 1
    state.tokens += loss.tokens
    state.window_nll += loss.total.item()
    state.window_count += loss.count
    return Loss(loss.total.detach(), loss.count, loss.tokens)


def _evaluate(workload: Workload, plan: Plan, state: State) -> dict[str, float]:
    """Add a row to the curve, and keep the weights if they are the best so far."""
    workload.model.eval()
    with torch.no_grad():
        figures = workload.evaluate()
    row = {"step": state.step, "tokens": state.tokens, "train_loss": state.window_nll / state.window_count, **figures}
    state.window_nll, state.window_count = 0.0, 0
    state.curve.append(row)
    if plan.best_by and (state.best_row < 0 or row[plan.best_by] > state.curve[state.best_row][plan.best_by]):
        state.best_row = len(state.curve) - 1
        state.best = {key: value.detach().clone() for key, value in workload.model.state_dict().items()}
    return row


def _out_of_patience(plan: Plan, state: State) -> bool:
    since_best = len(state.curve) - 1 - state.best_row
    return plan.patience is not None and state.best_row >= 0 and since_best >= plan.patience
