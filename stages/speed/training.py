"""What the pre-training budget costs in seconds: a step of every objective, objectives taking turns."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from matplotlib.figure import Figure

from stages import paths, progress
from stages.params import Params
from stages.pretrain.run import Run, Stepper
from stages.report.figures.pretraining import Line, line, losses
from stages.speed.rows import Row
from stages.training.checkpoint import State
from stages.training.loop import step

WARM_UP, STEPS = 2, 5


@dataclass
class Phase:
    """A phase that is stepped now and then, and the seconds that its steps took."""

    stepper: Stepper
    state: State = field(default_factory=State)
    taken: list[float] = field(default_factory=list)

    def step(self) -> None:
        """Do one more step on the next batch."""
        started = time.perf_counter()
        step(self.stepper.workload, self.stepper.optimizers, self.stepper.plan, self.state)
        self.taken.append(time.perf_counter() - started)

    @property
    def seconds(self) -> float:
        """Of one step, the median without the first ones."""
        return statistics.median(self.taken[WARM_UP:])

    @property
    def steps(self) -> float:
        """How many the budget buys; without end where it is in seconds."""
        return inf if self.stepper.plan.steps is None else self.stepper.plan.steps


Phases = Mapping[str, Sequence[Phase]]


def measure(settings: Params) -> Phases:
    """The phases of every objective that trains, stepped on real text, with the optimizer and without evaluations."""
    names, seed = settings.pretrain.objectives, settings.seeds[0]
    found = {name: [Phase(stepper) for stepper in Run(settings, name, seed).steppers()] for name in names}
    phases = [phase for name in names for phase in found[name]]
    with progress.bar("training steps", (WARM_UP + STEPS) * len(phases), "steps") as bar:
        for _ in range(WARM_UP + STEPS):
            for phase in phases:
                phase.step()
                bar.advance(1)
    return {name: found[name] for name in names if found[name]}


def rows(settings: Params, phases: Phases) -> list[Row]:
    """Seconds of the whole budget, and tokens a second, with ratios to the first objective that trains."""
    batch = settings.pretrain.batch_size * settings.pretrain.sequence_length
    figures = {}
    for name, parts in phases.items():
        steps = [part.steps if part.steps < inf else 1 for part in parts]
        seconds = sum(count * part.seconds for count, part in zip(steps, parts, strict=True))
        figures[name] = {("tokens", "tokens/s"): batch * sum(steps) / seconds}
        if all(part.steps < inf for part in parts):
            figures[name]["whole budget", "s"] = seconds
    peer = next(iter(figures), "")
    return [
        Row(f"pretrain/{name}", f"pretrain/{peer}", what, unit, value, None if name == peer else value / of_peer)
        for name in figures
        for (what, unit), value in figures[name].items()
        if (of_peer := figures[peer][what, unit])
    ]


def figure(settings: Params, phases: Phases) -> Figure:
    """Validation loss against seconds: the curves of the report, each step at what it was measured to take."""
    lines: dict[str, list[Line]] = {}
    for name, parts in phases.items():
        curves = [_curve(paths.CURVES / "pretrain" / f"{name}-{seed}.csv") for seed in settings.seeds]
        lines[name] = [line((phase, _seconds(parts, step), loss) for phase, step, loss in curve) for curve in curves]
    return losses(lines, "seconds of training")


def _curve(path: Path) -> list[tuple[int, float, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(int(row["phase"]), float(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


def _seconds(phases: Sequence[Phase], steps: float) -> float:
    """What the first ``steps`` steps take, each in its phase."""
    seconds = 0.0
    for phase in phases:
        done = min(steps, phase.steps)
        seconds, steps = seconds + done * phase.seconds, steps - done
    return seconds
