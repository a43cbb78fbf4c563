"""The search in MLflow: one run for the study, and nested in it one for each trial, in which its stages' runs nest.

If the store fails, one warning is printed and the search goes on without it: its trials are worth more than their log.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from flows.search.space import Goal, Space
from flows.search.study import Study, reached
from stages.tracking import lineage, store

EXPERIMENT = "search"

NESTED = "PIPELINE_RUN_ID"
"""The variable by which stages know the run that their own are nested in."""

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "stopped": "KILLED"}
"""How a run ends in MLflow, by what became of the trial, which is its tag ``state``."""


class Runs:
    """The study's run, and the trials' in it; as a context it ends the study's run with the block."""

    def __init__(self, space: Space, study: Study) -> None:
        self._space, self._study = space, study
        self._tags = lineage.origin() | {"study": space.study}
        self._lost = False
        self._run_id = ""

    def __enter__(self) -> Self:
        self._run_id = self._try(self._open)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        state = "complete" if kind is None else "failed" if issubclass(kind, Exception) else "stopped"
        self._try(lambda: self._end(self._run_id, state, self._best(), {}))

    @property
    def environment(self) -> dict[str, str]:
        """By which stages nest their runs in the study's."""
        return _nested(self._run_id)

    def trial(self, number: int, values: Mapping[str, Any]) -> TrialRun:
        """A run for a trial that begins with these values."""
        tags = {**self._tags, "trial": str(number), MLFLOW_PARENT_RUN_ID: self._run_id}
        run_id = self._try(lambda: self._made(f"{self._space.study} · trial {number}", tags, values))
        return TrialRun(self, run_id, self._space.goal)

    def end(self, run_id: str, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """A trial has ended."""
        self._try(lambda: self._end(run_id, state, metrics, tags))

    def point(self, run_id: str, key: str, number: float, step: int) -> None:
        """A curve goes on."""
        self._try(lambda: self._client.log_metric(run_id, key, number, step=step))

    def _best(self) -> dict[str, float]:
        best = self._study.best
        return {"best": reached(best)} if best else {}

    def _open(self) -> str:
        self._client = store.connect()
        store.reconcile(self._client)
        self._experiment = store.experiment(self._client, EXPERIMENT)
        self._study.run = self._reopened() or self._made(self._space.study, self._tags)
        return self._study.run

    def _reopened(self) -> str:
        """The run of a search that goes on; empty if there is none, or another store has it."""
        run_id = self._study.run
        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException:
            return ""
        for key, content in self._tags.items():
            self._client.set_tag(run_id, key, content)
        return run_id

    def _made(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any] = MappingProxyType({})) -> str:
        run_id = str(self._client.create_run(self._experiment, run_name=name, tags=dict(tags)).info.run_id)
        for key, content in params.items():
            self._client.log_param(run_id, key, content)
        return run_id

    def _end(self, run_id: str, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        for key, content in {"state": state, **tags}.items():
            self._client.set_tag(run_id, key, content)
        for key, number in metrics.items():
            self._client.log_metric(run_id, key, number)
        self._client.set_terminated(run_id, STATUS[state])

    def _try(self, action: Callable[[], object]) -> str:
        """Do it, unless the store has failed before: whoever asks it again may wait half a minute each time."""
        if self._lost:
            return ""
        try:
            return str(action() or "")
        except Exception as error:  # whatever a store may raise, the search goes on
            self._lost = True
            reason = str(error).partition("\n")[0]
            print(f"warning: trials will be missing in MLflow: {store.uri()}: {reason}", file=sys.stderr)
            return ""


class TrialRun:
    """The run of one trial."""

    def __init__(self, runs: Runs, run_id: str, goal: Goal) -> None:
        self._runs, self._run_id, self._goal = runs, run_id, goal

    @property
    def environment(self) -> dict[str, str]:
        """By which the stages of the trial nest their runs in this one."""
        return _nested(self._run_id)

    def point(self, number: float, step: int) -> None:
        """The curve goes on."""
        self._runs.point(self._run_id, f"validation.{self._goal.key}", number, step)

    def end(self, state: str, value: float | None = None, reason: str = "") -> None:
        """The trial has ended."""
        tags = {"error": reason} if reason else {}
        self._runs.end(self._run_id, state, {} if value is None else {"value": value}, tags)


def _nested(run_id: str) -> dict[str, str]:
    return {NESTED: run_id} if run_id else {}
