"""Which stage may start when."""

from __future__ import annotations

from flows.graph import Stage
from flows.schedule import Schedule


def diamond() -> Schedule:
    needs = {"top": "", "left": "top", "right": "top", "join": "left right", "alone": ""}
    return Schedule([Stage(name, frozenset(need.split())) for name, need in needs.items()])


def test_a_stage_is_ready_once_all_it_needs_has_succeeded() -> None:
    schedule = diamond()
    assert schedule.ready == ["top", "alone"]
    schedule.start("top")
    assert schedule.ready == ["alone"]
    schedule.end("top", succeeded=True)
    assert schedule.ready == ["left", "right", "alone"]
    for name in ("left", "right"):
        assert "join" not in schedule.ready
        schedule.start(name)
        schedule.end(name, succeeded=True)
    assert schedule.ready == ["join", "alone"]
    assert not schedule.running


def test_the_longest_way_starts_first() -> None:
    """With what stands behind a stage, not with its own time alone; without estimates the serial order stays."""
    needs = {"short": "", "long": "", "first": "", "second": "first"}
    stages = [Stage(name, frozenset(need.split())) for name, need in needs.items()]
    assert Schedule(stages).ready == ["short", "long", "first"]
    seconds = {"short": 1.0, "long": 5.0, "first": 1.0, "second": 6.0}
    assert Schedule(stages, seconds).ready == ["first", "long", "short"]


def test_what_stands_on_a_failed_stage_is_left() -> None:
    schedule = diamond()
    for name, succeeded in {"top": True, "left": False, "right": True, "alone": True}.items():
        schedule.start(name)
        schedule.end(name, succeeded=succeeded)
    assert schedule.ready == []
    assert schedule.left == ["join"]
