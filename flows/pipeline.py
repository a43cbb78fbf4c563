"""The Prefect flow over the DVC graph: what is out of date, several stages at a time, in order of need."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Event
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed

from flows import graph
from flows.devices import Slots
from flows.progress import Progress, shown
from flows.run_stage import Outcome, Result, log_file, run_stage
from flows.schedule import Schedule


@flow(name="reproduce", persist_result=False)
def reproduce(targets: list[str] | None = None, workers: int = 2) -> State[Any]:
    """Reproduce `targets` (all stages if none), `workers` at a time; ends as `dvc repro` would.

    A stage that fails keeps what needs it from running; everything else goes on.
    """
    plan = graph.plan(targets or [])
    try:
        with shown(len(plan.stages)) as progress:
            outcomes = Dispatcher(plan, Slots(workers), progress).run()
    finally:
        graph.settle_lock(plan)
    failed = [outcome.stage for outcome in outcomes if outcome.result is Result.FAILED]
    if failed:
        return Failed(message=f"{len(failed)} of {len(plan.stages)} stages failed: {', '.join(failed)}")
    return Completed(message=f"{len(outcomes)} stages done")


class Dispatcher:
    """Gives each stage of a plan to Prefect as a task once all that it needs is done and a slot is free.

    Prefect gets only tasks that can start: one that waits would hold a thread, and a slot with it.
    """

    def __init__(self, plan: graph.Plan, slots: Slots, progress: Progress) -> None:
        self._needs = {stage.name: stage.needs for stage in plan.stages}
        self._logs = plan.root / ".state" / "logs"
        self._schedule = Schedule(plan.stages)
        self._slots, self._progress = slots, progress
        self._stop = Event()
        self._futures: dict[str, PrefectFuture[Any]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()

    def run(self) -> list[Outcome]:
        """Run all that can be run. Whatever interrupts it ends the stages that are running."""
        try:
            self._start_ready()
            while self._schedule.running:
                self._end(self._ended.get())
                self._start_ready()
        finally:
            self._stop.set()
            while self._schedule.running:
                self._end(self._ended.get())
        self._progress.skipped(self._schedule.left)
        return list(self._outcomes.values())

    def _start_ready(self) -> None:
        for stage in self._schedule.ready:
            if not self._slots.take(stage):
                return
            self._submit(stage)
            self._schedule.start(stage)
            self._progress.started(stage, log_file(self._logs, stage))

    def _submit(self, stage: str) -> None:
        run = task(name="stage", task_run_name=stage, cache_policy=NO_CACHE, persist_result=False)(self._run)
        needed = [self._futures[need] for need in self._needs[stage]]
        future = run.submit(stage, return_state=False, wait_for=needed)
        future.add_done_callback(lambda _: self._ended.put(stage))
        self._futures[stage] = future

    def _run(self, stage: str) -> State[Any]:
        """The task's body, in a thread of its own."""
        outcome = run_stage(stage, log_file(self._logs, stage), self._stop)
        self._outcomes[stage] = outcome
        if not outcome.succeeded:
            return Failed(message=f"{outcome.result.value}: see {outcome.log}")
        return Completed(message=outcome.result.value)

    def _end(self, stage: str) -> None:
        outcome = self._outcomes[stage] = self._outcomes.get(stage) or self._lost(stage)
        self._schedule.end(stage, succeeded=outcome.succeeded)
        self._slots.give_back(stage)
        self._progress.ended(outcome)

    def _lost(self, stage: str) -> Outcome:
        """The outcome of a task that Prefect itself could not run."""
        reason = self._futures[stage].state.message or "Prefect gave no reason"
        return Outcome(stage, Result.FAILED, 0.0, log_file(self._logs, stage), reason)
