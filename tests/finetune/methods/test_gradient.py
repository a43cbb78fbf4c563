"""How a batch is learnt from: rules, schedules, parts of a batch, smoothing, dropout, each against its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from stages.errors import StageError
from stages.finetune.workload import Finetuning, Regime
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.dropout import Dropout
from stages.training import loop
from stages.training.optimizer import MOMENTUM
from stages.training.schedule import SHAPES
from tests.finetune.made import ARCHITECTURES, LENGTH, SCORES, TASK, backbone, job
from tests.finetune.methods.made import method
from tests.training.toy import Silent


def workload(folder: Path, architecture: str = "encoder", **regime: Any) -> Finetuning:
    """An untuned classifier whose head is not zero, on the made task."""
    body = backbone(architecture)
    model = Classifier(body, ClassifierConfig(TASK.labels, tuple(body.depths), LENGTH))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return Finetuning(model, job(folder), Regime(**{"batch_size": 16, **regime}))


def gradients(of: Finetuning, step: int = 0) -> dict[str, torch.Tensor]:
    of.model.zero_grad()
    of.loss(step).value.backward()
    return {name: p.grad for name, p in of.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("parts", [2, 3, 16, 100])
def test_parts_of_a_batch_add_up_to_it(parts: int, architecture: str, tmp_path: Path) -> None:
    """Loss, tokens and gradients are those of the whole, in the epoch's short last batch too."""
    whole, cut = (workload(tmp_path / str(count), architecture, parts=count) for count in (1, parts))
    for step in (0, whole.steps_per_epoch - 1):
        expected, found = gradients(whole, step), gradients(cut, step)
        assert set(found) == set(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-5)
        one, other = whole.loss(step), cut.loss(step)
        assert (one.tokens, one.count) == (other.tokens, other.count)
        assert one.value.item() == pytest.approx(other.value.item(), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_is_that_of_torch(smoothing: float, tmp_path: Path) -> None:
    of, data = workload(tmp_path, label_smoothing=smoothing), job(tmp_path / "again")
    batch = data.train.batch(data.train.shuffled(16, 0, 0)[0])
    expected = F.cross_entropy(of.model(batch.input_ids, batch.attention_mask), batch.labels, label_smoothing=smoothing)
    assert of.loss(0).value.item() == pytest.approx(expected.item(), abs=1e-6)


def test_scores_cannot_be_smoothed(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"params\.yaml: methods.*label_smoothing.*set it to 0"):
        method("full", label_smoothing=0.1).fit(backbone("encoder"), job(tmp_path, family=SCORES))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_is_of_the_step(architecture: str, tmp_path: Path) -> None:
    """Another at each step, the same at the same one, none in evaluation; the mean of many is near the whole."""
    of, without = (workload(tmp_path / str(rate), architecture, dropout=rate) for rate in (0.2, 0.0))
    assert of.loss(3).value == of.loss(3).value
    assert of.loss(3).value != without.loss(3).value
    assert of.evaluate() == without.evaluate()
    for one in (of, without):
        one._order = one._order[:1] * one.steps_per_epoch
    assert without.loss(0).value == without.loss(1).value
    assert of.loss(0).value != of.loss(1).value
    batch = job(tmp_path / "again").train.batch(torch.arange(8).numpy())
    exact = without.model(batch.input_ids, batch.attention_mask)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawn = [of.model(batch.input_ids, batch.attention_mask, dropout=Dropout(0.01, generator)) for _ in range(50)]
    assert len({tuple(one.flatten().tolist()) for one in drawn}) == 50
    assert (torch.stack(drawn).mean(0) - exact).abs().mean() < 0.1 * exact.abs().mean()


def test_an_imported_model_drops_out_at_our_rate() -> None:
    """BERT's own rate is another; the share of zeros behind its embeddings is ours."""
    body, seen = backbone("imported"), []
    body.model.embeddings.register_forward_hook(lambda _, __, output: seen.append(output))
    ids = torch.randint(5, 50, (32, 20), generator=torch.Generator().manual_seed(0))
    body(ids, dropout=Dropout(0.3, torch.Generator().manual_seed(0)))
    body(ids)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    kept = seen[0] != 0
    torch.testing.assert_close(seen[0][kept], seen[1][kept] / 0.7, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_are_those_of_torch(optimizer: str, tmp_path: Path) -> None:
    """Three steps by the rule at a constant rate, weight decay on matrices alone, gradients clipped."""
    ours, theirs = workload(tmp_path / "a"), workload(tmp_path / "b")
    tuner = method("full", optimizer=optimizer, weight_decay=0.1, learning_rate=0.01)
    stepped = tuner.optimizers(ours.model, 0.01, 3)
    named = list(theirs.model.named_parameters())
    groups = [
        {"params": [p for _, p in named if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    reference = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=0.01),
        "sgd": lambda: torch.optim.SGD(groups, lr=0.01, momentum=MOMENTUM),
    }[optimizer]()
    for step in range(3):
        for of in (ours, theirs):
            of.loss(step).value.backward()
        stepped.step(1.0)
        reference.step()
        reference.zero_grad()
    for (name, found), (_, expected) in zip(ours.model.named_parameters(), named, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25])
def test_schedules_are_those_of_transformers(name: str, warmup: float) -> None:
    """At every step of 40; ours asks in the middle of a step, so it is asked at its beginning here."""
    from transformers import get_scheduler

    plan = method("full", schedule=name, warmup=warmup)._plan(10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = get_scheduler(name, optimizer, num_warmup_steps=int(40 * warmup), num_training_steps=40)
    for step in range(41):
        found = SHAPES[plan.shape](plan.progress(step, 0.0), plan.warmup, plan.decay)
        assert found == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        reference.step()


def test_the_triangle_is_the_lower_of_two_lines() -> None:
    plan = method("full", warmup=0.1)._plan(10)
    for progress in torch.linspace(0, 1, 21).tolist():
        expected = min(progress / 0.1, 1 - progress)
        assert SHAPES[plan.shape](progress, plan.warmup, plan.decay) == pytest.approx(expected)


def test_all_at_once_is_resumed_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descent with momentum, a cosine, smoothing, dropout, two parts."""
    more = {
        "optimizer": "sgd",
        "schedule": "cosine",
        "label_smoothing": 0.1,
        "dropout": 0.1,
        "gradient_accumulation": 2,
        "learning_rate": 0.1,
    }
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole = method("full", **more).fit(backbone("encoder"), job(tmp_path / "whole"))
    given = job(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        method("full", **more).fit(backbone("encoder"), type(given)(**{**vars(given), "observer": Silent(20)}))
    again = method("full", **more).fit(backbone("encoder"), given)
    assert again.curve == whole.curve
    state = whole.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.model.state_dict().items())
