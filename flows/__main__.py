"""Run the DVC graph in parallel.

    python -m flows plan                   what is out of date and why, on which device it would run, and how long
    python -m flows run                    everything that is out of date, two stages at a time
    python -m flows run report -w 4        what the stage `report` needs, and itself, four at a time
    python -m flows run --pool gpu -w 8    the same by workers on other machines, of a Prefect work pool
    python -m flows doctor                 what keeps flows from running well here, each with its mend
    python -m flows full                   everything with the parameters of flows/full.yaml, in a workspace of its own
    python -m flows refresh                new rows of sources: train on, and promote what is significantly better
    python -m flows search                 better parameters, by trials: flows/search.yaml says of what, and for what
    python -m flows trace 72.6             from a number of the report to the runs and inputs it came from
    python -m flows ui                     MLflow's UI over all runs; numbers of reports/index.html lead into it

The result is that of `dvc repro`: the same outputs and the same dvc.lock. A stage that fails keeps
what needs it from running; the rest goes on, and the command ends with 1. Ctrl-C ends all stages.
Each stage's output is in .state/logs/<stage>.log. PREFECT_API_URL names a Prefect server to report to.
In MLflow, a run of the experiment `pipeline` stands above those of its stages; a serial `dvc repro` has none.

`full NAME` has the parameters of flows/NAME.yaml. It runs the commit that is checked out, in
.state/workspaces/NAME, publishes its report in reports/NAME, and goes on where it was stopped.
`-S pretrain.budget.flops=1e13` changes a parameter for this run.

`search` runs the commit that is checked out as well, each trial with other parameters, in .state/workspaces/search-*,
and goes on where it was stopped; --write puts the best values into params.yaml.
"""

from __future__ import annotations

import os
import signal
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Never

from flows import ENVIRONMENT, doctor, estimates, exclusive, graph, overview, refresh, resources, server, trace, ui
from flows import arguments as command_line
from flows.devices import Devices
from flows.workspace import Workspace
from stages import command
from stages.errors import StageError


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and do what it says."""
    options = command_line.read(arguments, __doc__)
    signal.signal(signal.SIGTERM, _interrupt)
    match options.command:
        case "plan":
            show_plan(options.targets, options.workers)
        case "run":
            reproduce(options.targets, options.workers, options.pool)
        case "full":
            publish(options.name, options.workers, options.set_param)
        case "refresh":
            for line in refresh.refresh(options.workers, options.set_param):
                print(line)
        case "search":
            look_for_better(options)
        case "trace":
            print("\n".join(trace.trace(options.words, graph.root(), options.report)))
        case "ui":
            ui.serve(graph.root(), options.port)
        case "doctor":
            examine()


def look_for_better(options: Namespace) -> None:
    """Run a search; Optuna takes a second to import."""
    from flows.search.search import search

    search(options.space, options.workers, options.storage, ENVIRONMENT, write=options.write)


def publish(name: str, workers: int, settings: Sequence[str]) -> None:
    """Run a second set of parameters in its own workspace, and publish what comes of it.

    Raises:
        StageError: there are no such parameters, or a stage failed; what was published before stays.
    """
    workspace = Workspace(name)
    workspace.prepare(settings)
    workspace.run(workers, ENVIRONMENT)
    workspace.publish()
    print(f"published in reports/{name}")


def examine() -> None:
    """Print what the doctor finds.

    Raises:
        StageError: it found something.
    """
    findings = list(doctor.examine(graph.root()))
    for finding in findings:
        print(finding)
    if findings:
        raise StageError(f"{len(findings)} to mend")
    print("Nothing to mend.")


def show_plan(targets: list[str], workers: int) -> None:
    """Print what `run` would do."""
    plan = graph.plan(targets)
    if not plan.stages:
        print("Everything is up to date.")
        return
    seconds = estimates.expected([stage.name for stage in plan.stages], estimates.durations())
    for line in overview.lines(plan, resources.load(plan.root), Devices.found(workers), seconds, workers):
        print(line)


def reproduce(targets: list[str], workers: int, pool: str | None = None) -> None:
    """Run the flow, but start no Prefect if there is nothing to do.

    Raises:
        StageError: a stage failed.
    """
    with exclusive.workspace(graph.root(), print):
        planned = graph.plan(targets)
        if not planned.stages:
            graph.settle_lock(planned)  # of a run that was killed
    if not planned.stages:
        print("Everything is up to date.")
        return
    if pool and not os.environ.get("PREFECT_API_URL"):
        raise StageError(f"--pool {pool}: PREFECT_API_URL must name the server that its workers ask")
    with server.starting() as started:
        with _undisturbed():
            from flows import pipeline
        server.wait(started)
        try:
            state = pipeline.reproduce(targets, workers, pool, return_state=True)
        finally:
            server.settle(started)
    if not state.is_completed():
        raise StageError(state.message or "the flow did not end")
    print(state.message)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back: an import that Ctrl-C cuts short ends in an error of its own."""
    held = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def _interrupt(*_: object) -> Never:
    """Let SIGTERM end everything as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    command.run(main)
