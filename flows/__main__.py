"""Run the DVC graph in parallel.

    python -m flows plan                   what is out of date and why, on which device it would run, and how long
    python -m flows run                    everything that is out of date, two stages at a time
    python -m flows run report -w 4        what the stage `report` needs, and itself, four at a time
    python -m flows doctor                 what keeps flows from running well here, each with its mend
    python -m flows full                   everything with the parameters of flows/full.yaml, in a workspace of its own
    python -m flows search                 better parameters, by trials: flows/search.yaml says of what, and for what
    python -m flows trace 72.6             from a number of the report to the runs and inputs it came from

The result is that of `dvc repro`: the same outputs and the same dvc.lock. A stage that fails keeps
what needs it from running; the rest goes on, and the command ends with 1. Ctrl-C ends all stages.
Each stage's output is in .state/logs/<stage>.log. PREFECT_API_URL names a Prefect server to report to.

`full NAME` has the parameters of flows/NAME.yaml. It runs the commit that is checked out, in
.state/workspaces/NAME, publishes its report in reports/NAME, and goes on where it was stopped.
`-S pretrain.budget.flops=1e13` changes a parameter for this run.

`search` runs the commit that is checked out as well, each trial with other parameters, in .state/workspaces/search-*,
and goes on where it was stopped; --write puts the best values into params.yaml.
"""

from __future__ import annotations

import signal
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from flows import ENVIRONMENT, doctor, estimates, exclusive, graph, overview, resources, server, trace
from flows.devices import Devices
from flows.search import space
from flows.workspace import Workspace
from stages import command
from stages.errors import StageError


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and do what it says."""
    parser = command.parser("flows", __doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="plan|run|full|search|trace|doctor")
    plan = commands.add_parser("plan", help="say what is out of date and why")
    run = commands.add_parser("run", help="reproduce what is out of date")
    for command_parser in (plan, run):
        command_parser.add_argument("targets", nargs="*", help="stages, as in dvc.yaml; default: all")
    full = commands.add_parser("full", help="reproduce flows/<name>.yaml in a workspace of its own, and publish")
    full.add_argument("name", nargs="?", default="full", help="of the file in flows/; default: full")
    full.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="as in dvc exp run")
    searching = commands.add_parser(
        "search",
        help="look for better parameters by trials",
        description=space.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    searching.add_argument("--space", type=Path, default=Path("flows/search.yaml"), help="default: %(default)s")
    searching.add_argument("--storage", default="", metavar="URL", help="Optuna's database; default: in .state/search")
    searching.add_argument("--write", action="store_true", help="put the best values into params.yaml")
    searching.add_argument("-w", "--workers", type=int, default=1, help="trials at a time; default: 1")
    tracing = commands.add_parser(
        "trace",
        help="lead a number, a cell of the results, a stage or a run back to its inputs",
        description=trace.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    tracing.add_argument("words", nargs="+", help="a number, columns of reports/results.csv, a stage, or a run's id")
    tracing.set_defaults(workers=1)
    commands.add_parser("doctor", help="say what is wrong with this machine and project").set_defaults(workers=1)
    for command_parser in (plan, run, full):
        command_parser.add_argument("-w", "--workers", type=int, default=2, help="stages at a time; default: 2")
    options = parser.parse_args(arguments)
    if options.workers < 1:
        raise StageError("--workers must be at least 1")
    signal.signal(signal.SIGTERM, _interrupt)
    if options.command == "full":
        publish(options.name, options.workers, options.set_param)
    elif options.command == "search":
        from flows.search.search import search

        search(options.space, options.workers, options.storage, ENVIRONMENT, write=options.write)
    elif options.command == "doctor":
        examine()
    elif options.command == "trace":
        print("\n".join(trace.trace(options.words, graph.root())))
    elif options.command == "plan":
        show_plan(options.targets, options.workers)
    else:
        reproduce(options.targets, options.workers)


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


def reproduce(targets: list[str], workers: int) -> None:
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
    with server.starting() as started:
        with _undisturbed():
            from flows import pipeline
        server.wait(started)
        state = pipeline.reproduce(targets, workers, return_state=True)
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
