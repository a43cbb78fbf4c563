"""The engine: evaluation points, early stopping, and resumption bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stages import paths
from stages.errors import StageError
from stages.training import loop
from tests.training.toy import Regression, Silent, optimizers, plan, run


@pytest.mark.parametrize(("steps", "evaluations"), [(40, 8), (7, 3), (3, 10), (1, 1), (1000, 7)])
def test_evaluations_are_spread_evenly_and_end_with_the_run(steps: int, evaluations: int) -> None:
    """As many as asked (or one a step), no two gaps differ by more than a step, the last after the last step."""
    the_plan = plan(steps=steps, evaluations=evaluations)
    done = [the_plan.progress(step, 0.0) for step in range(steps + 1)]
    after = [step + 1 for step in range(steps) if the_plan.evaluates_between(*done[step : step + 2])]
    assert len(after) == min(steps, evaluations)
    assert after[-1] == steps
    gaps = {b - a for a, b in zip([0, *after], after, strict=False)}
    assert max(gaps) - min(gaps) <= 1


def test_it_learns(tmp_path: Path) -> None:
    """The held-out error falls to a fraction, and the curve has a row per evaluation."""
    _, curve = run(tmp_path, plan(steps=400), Silent())
    assert len(curve) == 8
    assert curve[-1]["score"] > curve[0]["score"] / 4
    assert curve[-1]["train_loss"] < curve[0]["train_loss"] / 4


@pytest.mark.parametrize("best_by", [None, "score"])
def test_two_interruptions_in_a_row_change_no_bit(
    best_by: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at steps 11 and 11 + 14, a run ends with the weights and the curve of one left alone."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    the_plan = plan(best_by=best_by)
    whole, whole_curve = run(tmp_path / "whole", the_plan, Silent())
    for steps in (11, 14):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", the_plan, Silent(stop_after=steps))
    last = Silent()
    resumed, resumed_curve = run(tmp_path / "parts", the_plan, last)
    assert last.steps < 40 - 11 - 14 + 3, "it must resume, not start over"
    assert resumed_curve == whole_curve
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_state_of_other_work_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another plan starts from the beginning."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan(), Silent(stop_after=20))
    observer = Silent()
    run(tmp_path, plan(decay=0.4), observer)
    assert observer.steps == 40


def test_state_of_other_code_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a run by one version of the code is not ended by another; the same code goes on."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    code = tmp_path / "stages"
    code.mkdir()
    (code / "model.py").write_text("width = 1")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan(), Silent(stop_after=20))
    same = Silent(stop_after=5)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan(), same)
    (code / "model.py").write_text("width = 2")
    other = Silent()
    run(tmp_path, plan(), other)
    assert (same.first, other.first) == (20, 1)


def test_a_damaged_checkpoint_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run starts over and ends with the same bits."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole, _ = run(tmp_path / "whole", plan(), Silent())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", plan(), Silent(stop_after=20))
    file = tmp_path / "cut" / "toy.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    again, _ = run(tmp_path / "cut", plan(), Silent())
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=False))


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    """With ``best_by`` the model ends as it was at the best evaluation."""
    workload, curve = run(tmp_path, plan(best_by="score", evaluations=40), Silent())
    assert workload.evaluate()["score"] == max(row["score"] for row in curve)


def test_patience_ends_the_run(tmp_path: Path) -> None:
    """A figure that never improves stops the run after as many evaluations as patience allows."""

    class Worsening(Regression):
        def __init__(self) -> None:
            super().__init__()
            self.value = 0.0

        def evaluate(self) -> dict[str, float]:
            self.value -= 1
            return {"score": self.value}

    workload = Worsening()
    checkpoint = loop.Checkpoint(tmp_path, "worse", {})
    curve = loop.train(workload, optimizers(workload.model), plan(best_by="score", patience=2), checkpoint, Silent())
    assert len(curve) == 3


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    """Named with its step and a way out."""
    workload = Regression()
    with torch.no_grad():
        workload.model[0].weight.fill_(float("nan"))
    with pytest.raises(StageError, match=r"step 0.*learning rate"):
        loop.train(workload, optimizers(workload.model), plan(), loop.Checkpoint(tmp_path, "nan", {}), Silent())
