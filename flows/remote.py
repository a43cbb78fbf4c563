"""The workers' flow: one stage of one commit, made on this machine, given to whoever has offered it.

A worker works in a clone of its own, with its own DVC cache. Each run takes a worktree beside it that no other run has,
and is to the driver what a stage's process is to a flow: if it dies, somebody else makes the stage.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import yaml
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogHandler
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows import commit, exchange, exclusive, graph, resources
from flows.devices import Devices, Lease
from flows.logs import Follower, Hear
from flows.nursery import Job, Nursery, Work
from flows.pool import FLOW
from flows.result import Result
from flows.run_stage import Runner, log_file, tail
from stages import artifacts
from stages.errors import StageError
from stages.params import Resources
from stages.tracking import store

BEAT = 5.0
"""Seconds between two signs of life."""

POLL = 0.5
"""Seconds between two looks whether devices have become free."""

KEPT = ("/.state/", "/.dvc/", "__pycache__/")
"""What a worktree keeps from one stage to the next, besides inputs that both have."""


@flow(name=FLOW, flow_run_name="{name}", persist_result=False)
def stage(name: str, commit: str, offer: dict[str, Any], environment: dict[str, str]) -> State[Any]:
    """Make the stage `name` of a commit from the inputs that were offered (`flows.exchange`).

    A stage's own error ends as `Failed`, what the machine is to blame for as `Crashed`.

    Args:
        environment: variables that the stage has from the driver.
    """
    root = graph.root()
    logger = get_run_logger()
    try:
        with signs_of_life() as stop, slot(root) as (worktree, descriptor):
            prepare(root, worktree, name, commit, offer)
            variables = {"MLFLOW_TRACKING_URI": store.uri(), **environment}
            result, log = make(worktree, name, variables, descriptor, stop, logger.info)
            APILogHandler().flush()  # before the run is over, and nobody looks any more
    except StageError as error:
        return Failed(message=str(error))
    if result is Result.STOPPED:
        return Cancelled(message="it is not wanted any more")
    if result.succeeded:
        return Completed(message=result.value)
    return (Failed if result is Result.FAILED else Crashed)(message=tail(log))


@contextmanager
def signs_of_life() -> Iterator[Event]:
    """Touch the run's record every `BEAT` seconds; the event is set once the server says that the run is over."""
    context = FlowRunContext.get()
    assert context is not None
    over, unwanted = Event(), Event()
    run = context.flow_run
    assert run is not None
    thread = threading.Thread(target=contextvars.copy_context().run, args=(_beat, run, over, unwanted), daemon=True)
    thread.start()
    try:
        yield unwanted
    finally:
        over.set()
        thread.join()


def _beat(run: FlowRun, over: Event, unwanted: Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(BEAT):
            try:
                client.update_flow_run(run.id, tags=run.tags)
                state = client.read_flow_run(run.id).state
            except httpx.HTTPError:
                continue
            if state and (state.is_final() or state.is_cancelling()):
                unwanted.set()


@contextmanager
def slot(root: Path) -> Iterator[tuple[Path, int]]:
    """A worktree's place that no other run on this machine has, and the descriptor of the lock that says so."""
    folder = root / ".state" / "workspaces"
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        descriptor = os.open(folder / f"{FLOW}-{number}.lock", os.O_RDWR | os.O_CREAT)
        try:
            if exclusive.taken(descriptor):
                yield folder / f"{FLOW}-{number}", descriptor
                return
        finally:
            os.close(descriptor)


def prepare(root: Path, worktree: Path, name: str, revision: str, offer: dict[str, Any]) -> None:
    """Bring a worktree to a commit and an offer: nothing lies in it then but the commit's files and, perhaps, inputs.

    Raises:
        StageError: the commit cannot be had.
    """
    commit.obtain(root, revision)
    commit.check_out(root, worktree, revision)
    graph.share(root, worktree)
    inputs = [f"/{out['path']}" for entry in offer["lock"].values() for out in entry["outs"]]
    commit.git(worktree, "clean", "-ffdxq", *(f"--exclude={path}" for path in (*KEPT, *inputs)))
    with artifacts.atomic_file(worktree / graph.LOCK) as temporary:
        temporary.write_text(yaml.safe_dump({"schema": "2.0", "stages": offer["lock"]}), encoding="utf-8")
    artifacts.write_json(exchange.paper(worktree, name), offer)


def make(
    worktree: Path, name: str, environment: dict[str, str], descriptor: int, stop: Event, hear: Hear
) -> tuple[Result, Path]:
    """Make the stage on devices of this machine; how it ended, and its log."""
    needs = resources.of(name, resources.load(worktree))
    log = log_file(worktree / ".state" / "logs", name)
    log.unlink(missing_ok=True)
    follower, nursery, devices = Follower(log, hear), Nursery(worktree), Devices.found(workers=1)
    if (lease := _lease(devices, needs, stop)) is None:
        return Result.STOPPED, log
    seconds = needs.minutes * 60 if needs.minutes else None
    variables = {**environment, **lease.environment}
    try:
        job = Job(name, str(log), variables, needs.memory, seconds, work=Work.SERVE)
        result = Runner(nursery, stop).once(job, [descriptor, *lease.descriptors], follower)
    finally:
        follower.look(last=True)
        devices.give_back(lease)
        nursery.close()
    return result, log


def _lease(devices: Devices, needs: Resources, stop: Event) -> Lease | None:
    while not stop.is_set():
        if lease := devices.take(needs.gpus, needs.cpus):
            return lease
        time.sleep(POLL)
    return None
