"""What holds for every objective: cost, determinism, device, and that it learns; what each one is: objectives/."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stages.errors import StageError
from stages.model import transformer
from stages.model.cross_entropy import linear_cross_entropy
from stages.pretrain import objectives
from stages.pretrain.objectives import OBJECTIVES
from stages.training.checkpoint import Checkpoint
from stages.training.loop import Plan, train
from stages.training.optimizer import adamw, muon_adamw
from tests.pretrain import made
from tests.pretrain.corpus import WORDS
from tests.training.toy import Silent

LEARNING = [name for name, kind in OBJECTIVES.items() if kind.trains]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_that_is_computed_is_computed_where_the_model_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches and draws stay on the CPU; what reaches the embeddings and the loss is on the model's device."""
    objective = made.objective_of(name)
    model = made.model_of(objective)
    work = made.workload(objective, model, tmp_path)
    seen: set[str] = set()

    def watched(*tensors: torch.Tensor) -> torch.Tensor:
        seen.update(tensor.device.type for tensor in tensors)
        return linear_cross_entropy(*tensors)

    monkeypatch.setattr(transformer, "linear_cross_entropy", watched)
    model.model.embeddings.register_forward_pre_hook(lambda _, arguments: seen.add(arguments[0].device.type))
    model.to("meta")
    work.loss(0).value.backward()
    assert seen == {"meta"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_same_step_is_the_same_loss(name: str, tmp_path: Path) -> None:
    """Bit for bit, whatever was computed between; another step is another batch."""
    objective = made.objective_of(name)
    work = made.workload(objective, made.model_of(objective, disturbed=True), tmp_path)
    values = [work.loss(step).value for step in (0, 3, 0)]
    assert torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[1])


@pytest.mark.parametrize("name", LEARNING)
def test_it_costs_what_it_says(name: str, tmp_path: Path) -> None:
    """Within 2 % of what PyTorch counts, forward and backward."""
    objective = made.objective_of(name)
    model = made.model_of(objective, disturbed=True)
    work = made.workload(objective, model.train(), tmp_path)
    with FlopCounterMode(display=False) as counter:
        loss = work.loss(0)
        loss.value.backward()
    assert loss.flops == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("name", LEARNING)
def test_it_learns_one_batch_by_heart(name: str, tmp_path: Path) -> None:
    """Its loss on the same step, the same draws, falls to a small part of what it was."""
    objective = made.objective_of(name)
    model = made.model_of(objective)
    work = made.workload(objective, model.train(), tmp_path)
    optimizer = adamw(model, learning_rate=0.01, weight_decay=0.0)
    first = work.loss(0).value.item()
    for _ in range(150):
        work.loss(0).value.backward()
        optimizer.step(1.0)
    assert work.loss(0).value.item() < 0.15 * first


@pytest.mark.parametrize("name", LEARNING)
def test_it_learns_a_made_language(name: str, tmp_path: Path) -> None:
    """Its loss on held-out text falls far below what it was before."""
    objective = made.objective_of(name)
    model = made.model_of(objective)
    work = made.workload(objective, model, tmp_path)
    optimizers = muon_adamw(model, learning_rate=0.01, matrix_learning_rate=0.02, weight_decay=0.0, dtype=torch.float32)
    with torch.no_grad():
        before = work.evaluate()["loss"]
    plan = Plan(steps=250, evaluations=2, warmup=0.05, decay=0.5, max_grad_norm=1.0)
    curve = train(work, optimizers, plan, Checkpoint(tmp_path, "made", {}), Silent())
    assert curve[-1]["loss"] < 0.7 * before
    assert curve[-1]["flops"] == 250 * objective.flops(model.config, made.BATCH, made.LENGTH)


@pytest.mark.parametrize("name", [name for name, kind in OBJECTIVES.items() if kind.likelihood])
def test_a_likelihood_has_perplexity_and_bits_per_byte(name: str, tmp_path: Path) -> None:
    """Of its first term, which an untrained model guesses at about one in all tokens."""
    objective = made.objective_of(name)
    figures = made.workload(objective, made.model_of(objective), tmp_path).evaluate()
    loss = figures[next((key for key in figures if key.endswith("_loss")), "loss")]
    assert loss == pytest.approx(math.log(made.ENCODER.vocab_size), rel=0.25)
    assert loss > math.log(WORDS)
    assert figures["perplexity"] == pytest.approx(math.exp(loss))
    assert figures["bits_per_byte"] == pytest.approx(loss / math.log(2) / 4)


def test_an_unknown_objective_is_named() -> None:
    """With those that there are."""
    with pytest.raises(StageError, match=r"objectives.*'bert'.*mlm"):
        objectives.get("bert")
