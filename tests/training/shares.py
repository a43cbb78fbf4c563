"""What several processes do together in `test_distributed`, each of them this module; alone it is the reference.

NPROC_PER_NODE=2 python -m tests.training.shares FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from stages import command
from stages.finetune.methods.base import Method
from stages.pretrain.objectives import OBJECTIVES
from stages.pretrain.objectives.contrastive import info_nce
from stages.pretrain.workload import Batching, Pretraining
from stages.training import device, distributed, launch
from stages.training.checkpoint import Checkpoint
from stages.training.loop import train
from stages.training.loss import Loss, Term
from tests.finetune import made as tuned
from tests.finetune.methods.made import OPTIONS, method
from tests.pretrain import made
from tests.training.toy import Regression, Silent, optimizers, plan

ROWS, STEPS = 16, 3

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {"batch_size": 21}) for name in OPTIONS if name != "frozen"},
    "parts": ("full", {"batch_size": 3, "gradient_accumulation": 2, "label_smoothing": 0.1, "optimizer": "sgd"}),
    "spare": ("full", {"batch_size": 199, "optimizer": "sgd"}),
}
"""Methods on 200 examples, with shares that are unequal; whose parts leave their gradients one after the other, where
plain descent hears of gradients that are too long; and with a second batch of one example, of which one has no share.
"""

FEW = 3
"""Rows of which one process has two, and the other one."""

Result = dict[str, Tensor]


def trained() -> list[str]:
    """Objectives that learn."""
    return [name for name, objective in OBJECTIVES.items() if objective.trains]


def pretrain(name: str, folder: Path) -> Result:
    """An objective's weights and losses after some steps on the made language."""
    objective = made.objective_of(name)
    model = made.model_of(objective, disturbed=True)
    corpus = made.corpus(objective, folder)
    batching = Batching(ROWS, made.LENGTH)
    workload = Pretraining(model, objective, corpus, batching, seed=0, dtype=torch.float32)
    the_plan = plan(steps=STEPS, evaluations=1)
    curve = train(workload, optimizers(model), the_plan, Checkpoint(folder, "run", {}), Silent())
    return {**model.state_dict(), "curve": torch.tensor([list(row.values()) for row in curve], dtype=torch.float64)}


def finetune(name: str, folder: Path) -> Result:
    """A method's weights and figures on the made task."""
    kind, changes = METHODS[name]
    fitted: Method = method(kind, **{"epochs": 2, **changes})
    result = fitted.fit(tuned.backbone("encoder"), replace(tuned.job(folder), checkpoint=Checkpoint(folder, "run", {})))
    curve = [[row["tokens"], row["train_loss"], row["score"]] for row in result.curve]
    return {**result.model.state_dict(), "curve": torch.tensor(curve, dtype=torch.float64)}


class Divided(Regression):
    """A few rows a step, of which each process has its share, and says no more than how many these are."""

    def loss(self, step: int) -> Loss:
        x, y = self.batch(step)
        mine = distributed.share(np.arange(FEW))
        return Loss({"squares": Term((self.model(x[mine]) - y[mine]).pow(2).sum(), len(mine))}, FEW)


def divide(folder: Path) -> Result:
    """Weights and losses of a workload whose shares have unequal numbers of targets."""
    workload = Divided()
    the_plan = plan(steps=STEPS, evaluations=1)
    curve = train(workload, optimizers(workload.model), the_plan, Checkpoint(folder, "run", {}), Silent())
    return {**workload.model.state_dict(), "curve": torch.tensor([list(row.values()) for row in curve])}


def contrast() -> Result:
    """The loss of finding each row's counterpart among those of all processes, and what each row hears of it."""
    first, second = torch.randn(2, ROWS, 8, generator=torch.Generator().manual_seed(0)).unbind()
    mine = distributed.share(torch.arange(ROWS).numpy())
    own = [part[mine].requires_grad_() for part in (first, second)]
    found, place = distributed.gathered(own[1])
    loss = info_nce(own[0], found, 0.5, place)
    loss.backward()
    gradients = [part.grad for part in own if part.grad is not None]
    return {"first": gradients[0], "second": gradients[1], "loss": loss.detach()}


def collective() -> Result:
    """The small things."""
    told = distributed.of_first(lambda: {"rank": distributed.rank()})
    return {
        "share": torch.from_numpy(distributed.share(torch.arange(5).numpy())),
        "spare": torch.tensor(distributed.is_spare(torch.arange(1).numpy())),
        "average": torch.tensor(distributed.average(distributed.rank())),
        "first": torch.tensor(told["rank"]),
        "positions": torch.tensor([distributed.position(step) for step in range(3)]),
    }


def everything(folder: Path) -> dict[str, Result]:
    """All results, with what they need in ``folder``."""
    found = {name: pretrain(name, folder / "pretrain" / name) for name in trained()}
    found |= {name: finetune(name, folder / "finetune" / name) for name in METHODS}
    return {**found, "divide": divide(folder / "divide"), "contrast": contrast(), "collective": collective()}


def main(argv: Sequence[str] | None) -> None:
    """Each process writes what it has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    torch.set_num_threads(1)
    device.find()
    rank = distributed.rank()
    for name, result in everything(folder / str(rank)).items():
        target = folder / "results" / name
        target.mkdir(parents=True, exist_ok=True)
        save_file({key: value.contiguous().clone() for key, value in result.items()}, target / f"{rank}.safetensors")


if __name__ == "__main__":
    command.run(launch.in_processes(main, "tests.training.shares"))
