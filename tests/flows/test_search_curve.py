"""What a trial has reached: its curve while the stage runs, and its value in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from flows.search import curve
from flows.search.attempt import Told
from flows.search.curve import GoalError, LiveCurve
from flows.search.space import Goal
from flows.search.study import KNOWN
from stages.errors import StageError
from stages.tracking import spool

ROWS = "step,loss,score\n1,,0.5\n2,3.0,0.75\n3,2.0,0.625\n"


def goal(file: str, key: str, direction: str = "maximize", point: str | None = None) -> Goal:
    return Goal.model_validate({"file": file, "key": key, "direction": direction, "point": point})


@pytest.mark.parametrize(
    ("sought", "value"),
    [
        (goal("a.csv", "score", "maximize", "best"), 0.75),
        (goal("a.csv", "score", "maximize", "last"), 0.625),
        (goal("a.csv", "loss", "minimize", "best"), 2.0),
        (goal("a.json", "loss", "minimize"), 4.0),
        (goal("b.json", "validation.f1"), 0.25),
    ],
)
def test_the_value_is_what_is_asked_for(sought: Goal, value: float, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "a.json").write_text(json.dumps({"split": "validation", "loss": 4}))
    (tmp_path / "b.json").write_text(json.dumps({"split": "test", "f1": 1, "validation": {"f1": 0.25}}))
    assert curve.value(tmp_path, sought) == value


@pytest.mark.parametrize(
    ("content", "sought", "message"),
    [
        (None, goal("a.json", "f1"), r"goal\.file: .*a\.json is missing"),
        (None, goal("a.csv", "f1", point="best"), r"goal\.file: a\.csv is not there after the trial's run"),
        (ROWS, goal("a.csv", "f1", point="best"), r"a\.csv has no column 'f1' .*; it has: step, loss, score"),
        ("step\n", goal("a.csv", "f1", point="best"), r"it has: nothing"),
        ({"f1": 1}, goal("a.json", "f1"), r"a\.json does not say `split: validation`"),
        ({"split": "test", "f1": 1}, goal("a.json", "f1"), r"nothing may be chosen by the test split"),
        ({"split": "validation", "f1": 1}, goal("a.json", "f2"), r"no key f2: 'f2' is not there; it has: split, f1"),
        ({"split": "validation", "f1": "x"}, goal("a.json", "f1"), r"f1 is no number"),
    ],
)
def test_what_is_not_there_ends_the_search(content: Any, sought: Goal, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / sought.file).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(GoalError, match=message):
        curve.value(tmp_path, sought)


def test_what_is_not_finite_is_the_failure_of_one_trial(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("loss\nnan\n")
    with pytest.raises(StageError, match="loss is nan") as error:
        curve.value(tmp_path, goal("a.csv", "loss", "minimize", "last"))
    assert not isinstance(error.value, GoalError)


def begin(root: Path, stage: str, time: int) -> spool.Writer:
    """A stage's run, as `stages.tracking` begins it."""
    start = spool.event("start", tags={"dvc.stage": stage}) | {"time": time}
    return spool.Writer(root / ".state" / "tracking" / "0", start)


def log(writer: spool.Writer, step: int, **values: float) -> None:
    writer.write(spool.event("metrics", values=values, step=step))


def test_the_points_of_the_running_stage_come_as_they_are_told(tmp_path: Path) -> None:
    """Of this run of this stage alone: what an earlier trial or another stage has left is not of this one."""
    now = spool.event("now")["time"]
    for stage, time in (("train", now - 10_000), ("other", now + 10_000)):
        log(begin(tmp_path, stage, time), 1, **{"validation.score": 9.0})
    live = LiveCurve(tmp_path, "train", "validation.score")
    assert list(live.read()) == []
    stage = begin(tmp_path, "train", now + 10_000)
    log(stage, 3, **{"train.loss": 5.0})
    log(stage, 4, **{"validation.score": 0.5, "validation.loss": 1.0})
    assert list(live.read()) == [(4, 0.5)]
    assert list(live.read()) == []
    log(stage, 8, **{"validation.score": 0.75})
    stage.path.unlink()  # recorded: what was written before is read all the same
    assert list(live.read()) == [(8, 0.75)]


class Record:
    """What MLflow is told."""

    def __init__(self) -> None:
        self.points: dict[int, float] = {}

    def point(self, number: float, step: int) -> None:
        self.points[step] = number


def told(study: optuna.Study, record: Record) -> Told:
    return Told(study.ask(), record)  # type: ignore[arg-type]


def test_a_stage_that_goes_on_or_begins_anew_tells_no_point_twice() -> None:
    study = optuna.create_study()
    study.enqueue_trial({}, user_attrs={KNOWN: {"points": [0.1, 0.2], "step": 20}})
    record = Record()
    known = told(study, record)
    known.tell(10, 0.1)
    known.tell(20, 0.2)
    known.tell(30, 0.3)
    known.tell(30, 0.2)  # the final figure, which `summary` puts at the last step
    assert record.points == {1: 0.1, 2: 0.2, 3: 0.3}
    known.complete([0.1, 0.2, 0.3, 0.4])
    assert record.points == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}
    assert study.trials[0].intermediate_values == record.points
