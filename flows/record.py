"""A flow as one run in MLflow, above the runs of its stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.graph import Plan
from flows.result import Outcome, Result
from stages import tracking
from stages.tracking import lineage

NAMED = 3
"""Targets that the run's name holds."""

COMMIT = 8
"""Characters of a commit that tell it from others."""

WORKSPACES = "workspaces"
"""The folder of those that have parameters of their own, and are named after them (`flows.workspace`)."""


class Recorded:
    """The run of a flow that goes on."""

    def __init__(self, run: tracking.Run, planned: int) -> None:
        self._run, self._planned = run, planned

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Say how many stages came to which end; those that nothing became of are skipped."""
        counted = Counter(outcome.result for outcome in outcomes)
        names = {Result.RAN: "ran", Result.RESTORED: "restored", Result.UNCHANGED: "unchanged", Result.FAILED: "failed"}
        counts = {f"stages/{name}": counted[result] for result, name in names.items()}
        self._run.summary(counts | {"stages/skipped": self._planned - len(outcomes)})
        if failed := [outcome.stage for outcome in outcomes if outcome.result is Result.FAILED]:
            self._run.fail(f"failed: {', '.join(failed)}")


@contextmanager
def recorded(plan: Plan, targets: Sequence[str], workers: int) -> Iterator[Recorded]:
    """Record the block, in which stages are started."""
    count = len(plan.stages)
    params = {"targets": ", ".join(targets) or "all", "workers": workers, "stages": count}
    with tracking.pipeline(_name(plan.root, targets, count), params) as run:
        yield Recorded(run, count)


def _name(root: Path, targets: Sequence[str], count: int) -> str:
    """``default · 44 stages · 0123abcd``, the commit only where there is one."""
    parameters = root.name if root.parent.name == WORKSPACES else "default"
    wanted = f"{len(targets)} targets" if len(targets) > NAMED else ", ".join(targets)
    stages = f"{count} stage{'s' * (count != 1)}"
    return " · ".join(filter(None, [parameters, wanted, stages, lineage.head()[:COMMIT]]))
