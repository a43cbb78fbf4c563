"""Seconds of pre-training: what the budget costs, and where on the way a loss was reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages import paths
from stages.params import Params
from stages.pretrain.run import Run
from stages.speed import training
from stages.training.curve import write_curve
from tests.pretrain.test_run import settings  # noqa: F401 - a fixture
from tests.training.toy import Silent


@pytest.fixture
def measured(settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> training.Phases:  # noqa: F811
    """The phases of all objectives, with times that are made up: the k-th phase takes k seconds a step."""
    monkeypatch.setattr(paths, "CURVES", tmp_path / "curves")
    phases = training.measure(settings)
    for number, phase in enumerate(phase for parts in phases.values() for phase in parts):
        assert len(phase.taken) == training.WARM_UP + training.STEPS
        assert all(seconds > 0 for seconds in phase.taken)
        phase.taken = [99.0] * training.WARM_UP + [1.0 + number] * training.STEPS
    return phases


def test_only_what_trains_is_measured(measured: training.Phases) -> None:
    """`scratch` has no steps; a curriculum has a time for each of its phases."""
    assert {name: len(parts) for name, parts in measured.items()} == {"mlm": 1, "clm_then_mlm": 2}


def test_the_budgets_seconds_are_steps_times_seconds(settings: Params, measured: training.Phases) -> None:  # noqa: F811
    """Of each phase; ratios are to the first objective."""
    rows = {(row.subject, row.figure): row for row in training.rows(settings, measured)}
    steps = {name: [part.steps for part in parts] for name, parts in measured.items()}
    mlm, both = rows["pretrain/mlm", "whole budget"], rows["pretrain/clm_then_mlm", "whole budget"]
    assert mlm.value == steps["mlm"][0]
    assert both.value == 2 * steps["clm_then_mlm"][0] + 3 * steps["clm_then_mlm"][1]
    assert (mlm.ratio, both.ratio) == (None, both.value / mlm.value)
    assert rows["pretrain/mlm", "tokens"].value == pytest.approx(8 * 32)


def test_losses_stand_where_their_steps_end(settings: Params, measured: training.Phases) -> None:  # noqa: F811
    """A point's seconds are those of the steps before it, each in its own phase, which has a line of its own."""
    curve = Run(settings, "clm_then_mlm", 0).train(Silent()).curve
    for name in measured:
        for seed in settings.seeds:
            write_curve(paths.CURVES / "pretrain" / f"{name}-{seed}.csv", curve)
    figure = training.figure(settings, measured)
    lines = [line for axes in figure.axes if axes.get_title() == "clm_then_mlm" for line in axes.get_lines()]
    first = measured["clm_then_mlm"][0].steps
    expected = [2 * min(row["step"], first) + 3 * max(0, row["step"] - first) for row in curve]
    drawn = [line for line in lines if line.get_marker() == "None"][:2]
    assert [len(line.get_xdata()) for line in drawn] == [4, 4]
    assert [x for line in drawn for x in line.get_xdata()] == expected
    assert [y for line in drawn for y in line.get_ydata()] == [row["loss"] for row in curve]
