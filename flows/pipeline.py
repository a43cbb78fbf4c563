"""The Prefect flow over the DVC graph: what is out of date, several stages at a time, in order of need."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from flows import estimates, exclusive, graph, record, resources
from flows.devices import NOTHING, Devices, Lease
from flows.errand import PoolRunner
from flows.nursery import Job, Nursery
from flows.pool import Pool
from flows.progress import Progress, shown
from flows.result import Outcome, Result
from flows.run_stage import Runner, log_file
from flows.schedule import Schedule
from stages.errors import StageError

POLL = 0.2
"""Seconds between two looks whether a device that another flow holds has become free."""


@flow(name="reproduce", persist_result=False)
def reproduce(targets: list[str] | None = None, workers: int = 2, pool: str | None = None) -> State[Any]:
    """Reproduce `targets` (all stages if none), `workers` at a time; ends as `dvc repro` would.

    A stage that fails keeps what needs it from running; everything else goes on. The workers of a `pool` make the
    stages that can be made elsewhere, `workers` of them at a time.
    """
    with exclusive.workspace(graph.root(), print) as descriptor:
        plan = graph.plan(targets or [])
        try:
            found = Pool.found(pool, plan.root) if pool else None
        except StageError as error:
            return Failed(message=str(error))
        graph.note_order(plan)
        nursery = Nursery(plan.root)
        devices = Devices.found(1 if found else workers)
        with record.recorded(plan, targets or [], workers) as recorded:
            try:
                with shown(len(plan.stages)) as progress:
                    outcomes = Dispatcher(plan, devices, workers, nursery, descriptor, progress, found).run()
            finally:
                nursery.close()
                graph.settle_lock(plan)
            recorded.end(outcomes)
    failed = [outcome.stage for outcome in outcomes if outcome.result is Result.FAILED]
    if failed:
        return Failed(message=f"{len(failed)} of {len(plan.stages)} stages failed: {', '.join(failed)}")
    return Completed(message=f"{len(outcomes)} stage{'' if len(outcomes) == 1 else 's'} done")


class Dispatcher:
    """Gives each stage of a plan to Prefect as a task once all that it needs is done and devices are free.

    Prefect gets only tasks that can start: one that waits would hold a thread, and a device with it.
    """

    def __init__(
        self,
        plan: graph.Plan,
        devices: Devices,
        workers: int,
        nursery: Nursery,
        workspace: int,
        progress: Progress,
        pool: Pool | None = None,
    ) -> None:
        names = [stage.name for stage in plan.stages]
        self._needs = {stage.name: stage.needs for stage in plan.stages}
        self._logs = plan.root / ".state" / "logs"
        self._patterns = resources.load(plan.root)
        self._schedule = Schedule(plan.stages, estimates.expected(names, estimates.durations()))
        self._devices, self._workers, self._workspace, self._progress = devices, workers, workspace, progress
        self._stop = Event()
        self._runner = Runner(nursery, self._stop)
        self._away = {stage.name for stage in plan.stages if stage.portable} if pool else set()
        self._pool = PoolRunner(pool, self._runner) if pool else self._runner
        self._leases: dict[str, Lease] = {}
        self._futures: dict[str, PrefectFuture[Any]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()

    def run(self) -> list[Outcome]:
        """Run all that can be run. Whatever interrupts it ends the stages that are running."""
        try:
            while self._start_ready() or self._leases:
                if not self._leases:
                    self._progress.waiting()
                self._wait()
        finally:
            self._stop.set()
            while self._leases:
                self._end(self._ended.get())
        self._progress.skipped(self._schedule.left)
        return list(self._outcomes.values())

    def _start_ready(self) -> bool:
        """Start what may start and fits; whether anything is left that waits for devices alone."""
        waits = False
        for stage in self._schedule.ready:
            lease = self._lease(stage)
            if lease:
                self._start(stage, lease)
            waits = waits or not lease
        return waits

    def _lease(self, stage: str) -> Lease | None:
        """Devices for a stage, unless as many run already where it would; on another machine it has them there."""
        away = stage in self._away
        if sum((name in self._away) == away for name in self._leases) >= self._workers:
            return None
        needs = resources.of(stage, self._patterns)
        return NOTHING if away else self._devices.take(needs.gpus, needs.cpus)

    def _wait(self) -> None:
        """Until a stage ends, or a while, for other flows free devices too."""
        try:
            self._end(self._ended.get(timeout=POLL))
        except Empty:
            return

    def _start(self, stage: str, lease: Lease) -> None:
        self._leases[stage] = lease
        run = task(name="stage", task_run_name=stage, cache_policy=NO_CACHE, persist_result=False)(self._run)
        needed = [self._futures[need] for need in self._needs[stage]]
        try:
            future = self._futures[stage] = run.submit(stage, return_state=False, wait_for=needed)
        except BaseException:
            self._devices.give_back(self._leases.pop(stage))
            raise
        self._schedule.start(stage)
        future.add_done_callback(lambda _: self._ended.put(stage))
        self._progress.started(stage, log_file(self._logs, stage))

    def _run(self, stage: str) -> State[Any]:
        """The task's body, in a thread of its own."""
        needs, lease = resources.of(stage, self._patterns), self._leases[stage]
        seconds = needs.minutes * 60 if needs.minutes else None
        job = Job(stage, str(log_file(self._logs, stage)), lease.environment, needs.memory, seconds)
        runner = self._pool if stage in self._away else self._runner
        descriptors = [*lease.descriptors, self._workspace]
        outcome = self._outcomes[stage] = runner.run(job, descriptors, get_run_logger().info)
        if not outcome.succeeded:
            return Failed(message=f"{outcome.result.value}: see {outcome.log}")
        return Completed(message=outcome.result.value)

    def _end(self, stage: str) -> None:
        outcome = self._outcomes[stage] = self._outcomes.get(stage) or self._lost(stage)
        self._schedule.end(stage, succeeded=outcome.succeeded)
        self._devices.give_back(self._leases.pop(stage))
        self._progress.ended(outcome)

    def _lost(self, stage: str) -> Outcome:
        """The outcome of a task that Prefect itself could not run."""
        reason = self._futures[stage].state.message or "Prefect gave no reason"
        return Outcome(stage, Result.FAILED, 0.0, log_file(self._logs, stage), reason)
