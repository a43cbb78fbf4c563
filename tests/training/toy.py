"""A small workload for the engine's tests: a regression whose batches depend on the step alone."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from stages.training import randomness
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan, train
from stages.training.loss import Loss, Term
from stages.training.optimizer import Optimizers, muon_adamw


class Regression:
    """Learn a fixed random map from 8 to 8 numbers."""

    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 8))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.normal_(0, 0.3, generator=generator)
        self.truth = torch.randn(8, 8, generator=generator)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(32, 8, generator=randomness.torch_generator(0, "toy", step))
        return x, x @ self.truth

    def loss(self, step: int) -> Loss:
        x, y = self.batch(step)
        return Loss({"squares": Term((self.model(x) - y).pow(2).sum(), len(x))}, x.numel())

    def evaluate(self) -> dict[str, float]:
        x, y = self.batch(10**6)
        return {"score": -(self.model(x) - y).pow(2).mean().item()}


class Silent:
    """An observer that only counts, and can stop the run as a kill would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps, self.first, self._stop_after = 0, 0, stop_after

    def step(self, step: int, tokens: int, loss: float) -> None:
        self.steps += 1
        self.first = self.first or step
        if self.steps == self._stop_after:
            raise KeyboardInterrupt

    def evaluated(self, row: dict[str, float]) -> None:
        pass


def optimizers(model: nn.Module) -> Optimizers:
    """Muon and AdamW, as pre-training uses them."""
    return muon_adamw(model, learning_rate=0.01, matrix_learning_rate=0.02, weight_decay=0.01, dtype=torch.float32)


def plan(**changes: object) -> Plan:
    """Forty steps, eight evaluations."""
    defaults = {"steps": 40, "evaluations": 8, "warmup": 0.1, "decay": 0.5, "max_grad_norm": 1.0}
    return Plan(**{**defaults, **changes})  # type: ignore[arg-type]


def run(folder: Path, the_plan: Plan, observer: Silent) -> tuple[Regression, list[dict[str, float]]]:
    """Train, or resume, with state under ``folder``."""
    workload = Regression()
    checkpoint = Checkpoint(folder, "toy", {"plan": str(the_plan)})
    return workload, train(workload, optimizers(workload.model), the_plan, checkpoint, observer)
