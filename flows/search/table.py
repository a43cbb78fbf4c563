"""What a person sees of a search: a line when a trial begins and when it ends, and all of them in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from flows.search.space import DIGITS, Space
from flows.search.study import REASON, Study
from stages.progress import clock

ENOUGH = 10
"""Complete trials from which it is said how much each parameter matters."""

WORDS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running elsewhere",
    TrialState.WAITING: "stopped",
}


class Progress:
    """Says when trials begin and end. Threads may share it, for each line is printed at once."""

    def __init__(self, study: Study, total: int, slots: int) -> None:
        self._study, self._total, self._slots = study, total, slots
        self._since, self._ended = time.monotonic(), 0

    def begun(self, number: int, values: Mapping[str, Any]) -> None:
        """A trial begins with these values."""
        print(f"trial {number} begins with {_listed(values)}", flush=True)

    def ended(self, number: int, seconds: float) -> None:
        """A trial has ended, somehow."""
        trials = self._study.trials
        if (trial := next((one for one in trials if one.number == number), None)) is None:
            print(f"trial {number}: stopped; the search goes on with it next time", flush=True)
            return
        self._ended += 1
        done = sum(one.state.is_finished() for one in trials)
        left = (time.monotonic() - self._since) / self._ended * (self._total - done)
        best = self._study.best
        parts = [f"trial {number}: {_became(trial)} in {clock(seconds)}", f"{done} of {self._total} done"]
        parts += [f"best {best.value:.5g} (trial {best.number})"] if best else []
        parts += [f"about {clock(left)} left"] if done < self._total else []
        print("; ".join(parts), flush=True)


def lines(study: Study, space: Space) -> Iterator[str]:
    """All trials, the best first, then those that have no value."""
    keys = list(space.parameters)
    header = ["trial", space.goal.key, *(key.rpartition(".")[2] for key in keys), ""]
    rows = [header, *(_row(trial, space) for trial in _ranked(study, space))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header) - 1)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()
    if best := study.best:
        yield f"best: trial {best.number}, {space.goal.key} {best.value:.5g}: {_listed(space.settings(best.params))}"
    complete = sum(trial.state is TrialState.COMPLETE for trial in study.trials)
    if len(keys) > 1 and complete >= ENOUGH:
        shares = (f"{key} {share:.0%}" for key, share in study.importances().items())
        yield f"what mattered, roughly: {', '.join(shares)}"


def _ranked(study: Study, space: Space) -> list[FrozenTrial]:
    sign = -1 if space.goal.direction == "maximize" else 1
    order = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]

    def rank(trial: FrozenTrial) -> tuple[int, float, int]:
        return order.index(trial.state), sign * (trial.value or 0.0), trial.number

    return sorted(study.trials, key=rank)


def _row(trial: FrozenTrial, space: Space) -> list[str]:
    values = space.settings(trial.params) if trial.params.keys() >= space.parameters.keys() else {}
    reached = f"{trial.value:.5g}" if trial.value is not None else "-"
    word = WORDS[trial.state] + (f": {trial.user_attrs[REASON]}" if REASON in trial.user_attrs else "")
    return [str(trial.number), reached, *(_shown(values[key]) if values else "-" for key in space.parameters), word]


def _became(trial: FrozenTrial) -> str:
    if trial.state is TrialState.COMPLETE:
        return f"{trial.value:.5g}"
    if trial.state is TrialState.PRUNED:
        count = len(trial.intermediate_values)
        return f"pruned at {trial.value:.5g}, after {count} point{'s' * (count > 1)},"
    return f"failed ({trial.user_attrs[REASON]})"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in values.items())


def _shown(value: Any) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
