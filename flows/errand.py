"""Stages sent to a work pool: offered, made into runs of the workers' flow, watched, tried again, and fetched.

A run shows that it lives by touching its record on the server (`flows.remote.BEAT`), for Prefect itself does not notice
that a machine has gone. One that has fallen silent is given up, and the stage is sent again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.states import Cancelled, Cancelling, Crashed, Failed

from flows import exchange
from flows.logs import Hear, unheard
from flows.nursery import Job, Work
from flows.pool import Pool, help_to_start
from flows.result import Outcome, Result
from flows.run_stage import TRIES, Runner
from stages import artifacts
from stages.tracking import store

POLL = 2.0
"""Seconds between two looks at a run."""

SILENCE = 60.0
"""Seconds without a sign of life from which a run counts as dead."""

START = 900.0
"""Seconds that a worker has to start what it has taken: a node may have to come up and pull an image."""

ALONE = 60.0
"""Seconds that a run waits for a worker before it is asked whether there are any left."""

BATCH = 200
"""Lines of a log that the server gives at once."""

FORWARDED = ("MLFLOW_TRACKING_URI", "PIPELINE_RUN_ID")
"""Variables that a worker's stages have from here, if the MLflow store is a server that they can reach as well."""

ACTIVE = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


@dataclass(frozen=True)
class PoolRunner:
    """Runs stages in a pool, as a `Runner` does here.

    Attributes:
        pool: where.
        local: does what is to be done here.
    """

    pool: Pool
    local: Runner

    def run(self, job: Job, descriptors: Sequence[int], hear: Hear = unheard) -> Outcome:
        """Have a stage made by a worker unless it is in the cache, and restore what that has made."""
        since = time.monotonic()
        outcome = self.local.run(replace(job, work=Work.OFFER), descriptors, hear)
        if outcome.result is Result.ABSENT:
            result, detail = self._made(job)
            if result is Result.ELSEWHERE:
                result, detail = self._fetched(job, descriptors)
            outcome = replace(outcome, result=result, detail=detail)
        return replace(outcome, seconds=time.monotonic() - since)

    def _made(self, job: Job) -> tuple[Result, str]:
        """Send the stage until a run of it has ended by itself; what came of that."""
        for _ in range(TRIES):
            try:
                with get_client(sync_client=True) as client:
                    state = Errand(client, self.pool, job).state(self.local.stop)
            except httpx.HTTPError as error:
                state = Crashed(message=f"the Prefect server refused it: {error}")
            if not state.is_crashed() or self.local.stop.wait(POLL):
                break
            note(job, f"the worker's run was lost: {state.message}")
        if self.local.stop.is_set():
            return Result.STOPPED, ""
        if state.is_completed():
            return Result.ELSEWHERE, ""
        note(job, state.message or "")
        return Result.FAILED, state.message or f"the run ended as {state.name}"

    def _fetched(self, job: Job, descriptors: Sequence[int]) -> tuple[Result, str]:
        outcome = self.local.run(replace(job, work=Work.FETCH, again=True), descriptors)
        if outcome.result is Result.ABSENT:
            reason = (
                "what the worker has made does not fit any more: what the stage stands on was edited here meanwhile"
            )
            return Result.FAILED, f"{reason}, or the worker has another DVC remote; run it again"
        return (Result.ELSEWHERE if outcome.succeeded else outcome.result), outcome.detail


class Errand:
    """One run of a stage, from its start to its end."""

    def __init__(self, client: SyncPrefectClient, pool: Pool, job: Job) -> None:
        self._client, self._pool, self._job = client, pool, job
        self._parameters = {
            "name": job.stage,
            "commit": pool.commit,
            "offer": artifacts.read_json(exchange.paper(pool.root, job.stage)),
            "environment": _environment(),
        }
        self._tag = hashlib.sha256(json.dumps(self._parameters, sort_keys=True).encode()).hexdigest()[:16]
        self._run = self._present() or self._new()
        self._heard: tuple[Any, float] = (None, time.monotonic())
        self._lines = 0

    def state(self, stop: Event) -> State[Any]:
        """Its last state; `Crashed` if it was given up. Once `stop` is set it is cancelled."""
        while True:
            run = self._look()
            if run and run.state and run.state.is_final():
                return run.state
            if stop.is_set():
                return self._end(Cancelled() if run is None or not run.start_time else Cancelling())
            if ended := self._given_up(run):
                return self._end(ended)
            stop.wait(POLL)

    def _look(self) -> FlowRun | None:
        """The run as the server has it, its new lines in the log; None if the server does not answer."""
        try:
            run = self._client.read_flow_run(self._run)
            wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[self._run]))
            while lines := self._client.read_logs(wanted, limit=BATCH, offset=self._lines):
                note(self._job, "\n".join(line.message for line in lines))
                self._lines += len(lines)
        except httpx.HTTPError:
            return None
        return run

    def _given_up(self, run: FlowRun | None) -> State[Any] | None:
        """What it ends as if there is no hope for it."""
        sign, since = (run.updated, run.state_type) if run else self._heard[0], self._heard[1]
        if sign != self._heard[0]:
            since = time.monotonic()
        state = run.state_type if run else None
        silent = time.monotonic() - since
        if state is StateType.SCHEDULED and silent > ALONE:
            if not self._pool.is_alive(self._client):
                return Failed(message=f"pool {self._pool.name}: {help_to_start(self._pool.name)}")
            since = time.monotonic()  # all its workers are busy
        self._heard = (sign, since)
        if silent > (SILENCE if state is StateType.RUNNING else START):
            return Crashed(message=f"nothing was heard of it for {silent:.0f} s")
        return None

    def _end(self, state: State[Any]) -> State[Any]:
        """Tell the server, if it listens, that the run is over."""
        try:
            self._client.set_flow_run_state(self._run, state, force=not state.is_cancelling())
        except httpx.HTTPError as error:
            note(self._job, f"the Prefect server could not be told that the run is over: {error}")
        return state

    def _present(self) -> UUID | None:
        """A run of the same that is under way: a flow that was killed has left it, or another one has sent it."""
        active = FlowRunFilterState(type=FlowRunFilterStateType(any_=ACTIVE))
        found = self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[self._tag]), state=active), limit=1
        )
        return found[0].id if found else None

    def _new(self) -> UUID:
        run = run_deployment(
            self._pool.deployment,
            parameters=self._parameters,
            flow_run_name=self._job.stage,
            tags=[self._tag],
            timeout=0,
        )
        assert isinstance(run, FlowRun)
        return run.id


def note(job: Job, text: str) -> None:
    """Add to the stage's log here what is said of it elsewhere."""
    with Path(job.log).open("a", encoding="utf-8") as file:
        print(text, file=file)


def _environment() -> dict[str, str]:
    if store.file() is not None:
        return {}
    return {name: os.environ[name] for name in FORWARDED if name in os.environ}
