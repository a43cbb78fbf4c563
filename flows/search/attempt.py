"""One trial, from its parameters to its value: a flow in a workspace, watched, and ended early if it is pruned."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psutil
from optuna import TrialPruned
from optuna.trial import Trial

from flows.search import curve
from flows.search.curve import LiveCurve
from flows.search.runs import TrialRun
from flows.search.space import Goal
from flows.search.study import FLOW, KNOWN, STEP
from flows.workspace import Workspace, end
from stages.errors import StageError

POLL = 0.2
"""Seconds between two looks at a flow and its curve."""


class Stopped(Exception):
    """The search itself was interrupted: the trial has come to nothing, and is no failure."""


@dataclass(frozen=True)
class Attempt:
    """What all trials share.

    Attributes:
        targets: what DVC is to make.
        goal: what comes of it.
        watched: the stage that makes it; empty if nobody looks at its curve on the way.
        environment: of the flow.
        logs: the folder for what flows print.
        stop: once it is set, flows are ended.
    """

    targets: Sequence[str]
    goal: Goal
    watched: str
    environment: Mapping[str, str]
    logs: Path
    stop: Event

    def run(self, workspace: Workspace, parameters: bytes, trial: Trial, record: TrialRun) -> float:
        """Run the trial.

        Raises:
            TrialPruned: its curve was worse than those of others.
            Stopped: the search was interrupted.
            GoalError: the goal cannot be measured.
            StageError: a stage failed, or its result is not finite.
        """
        workspace.set(parameters)
        told = Told(trial, record)
        live = LiveCurve(workspace.root, self.watched, f"validation.{self.goal.key}")
        log = self.log(trial.number)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            flow = workspace.start(1, {**self.environment, **record.environment}, self.targets, output)
        try:
            trial.set_user_attr(FLOW, [flow.pid, psutil.Process(flow.pid).create_time()])
            self._watch(flow, live, told)
        finally:
            end(flow)
        if flow.returncode:
            raise StageError(_reason(log))
        return self._measured(workspace.root, told)

    def log(self, number: int) -> Path:
        """Where the flow of a trial prints to."""
        return self.logs / f"trial-{number}.log"

    def _watch(self, flow: subprocess.Popen[bytes], live: LiveCurve, told: Told) -> None:
        while flow.poll() is None:
            if self.stop.wait(POLL):
                raise Stopped
            for step, point in live.read() if self.watched else ():
                told.tell(step, point)
                if told.trial.should_prune():
                    raise TrialPruned

    def _measured(self, root: Path, told: Told) -> float:
        """The value; points that nobody saw, as those of a result from the cache, are told for later trials."""
        if self.goal.is_curve:
            told.complete(curve.points(root, self.goal))
        return curve.value(root, self.goal)


class Told:
    """How much of a trial's curve Optuna and MLflow know, by number from 1.

    A stage that goes on from a checkpoint tells no point again, and one that begins anew tells all of them: whatever
    was told before, of this trial or of the one that it replaces, is known by its step.
    """

    def __init__(self, trial: Trial, record: TrialRun) -> None:
        self.trial, self._record = trial, record
        self._count, self._step = 0, -1
        known = trial.user_attrs.get(KNOWN, {"points": [], "step": -1})
        self.complete(known["points"])
        self._step = known["step"]

    def tell(self, step: int, point: float) -> None:
        """The point at a step of the training, unless it is known."""
        if step > self._step:
            self._step = step
            self._tell(point)
            self.trial.set_user_attr(STEP, step)

    def complete(self, points: Sequence[float]) -> None:
        """The whole curve."""
        for point in points[self._count :]:
            self._tell(point)

    def _tell(self, point: float) -> None:
        self._count += 1
        self.trial.report(point, self._count)
        self._record.point(point, self._count)


def _reason(log: Path) -> str:
    """What a stage said as it failed: its own last words stand before those of the flow."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    words = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (words[:-1] or words or lines or ["it was killed before it could say anything"])[-1]
