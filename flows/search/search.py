"""One search, from the file that says what is searched to its winner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from flows import server
from flows.search import leftovers, slots, space, table, winner
from flows.search.attempt import Attempt
from flows.search.runs import Runs
from flows.search.settings import Settings
from flows.search.slots import Slots
from flows.search.space import Space
from flows.search.steps import Steps
from flows.search.study import Study
from flows.search.table import Progress
from stages import paths
from stages.errors import StageError

FOLDER = paths.STATE / "search"


def search(file: Path, workers: int, storage: str, environment: Mapping[str, str], *, write: bool) -> None:
    """Run the trials that are left, print all of them, and write the winner's values into params.yaml if wanted.

    Args:
        storage: address of Optuna's database; empty for the project's own.
        environment: of the flows.

    Raises:
        StageError: the file is wrong, no trial was completed, or what trials are judged by is not there.
    """
    sought = space.load(file)
    settings = Settings(sought, str(file))
    study = Study(sought, settings.others, storage or f"sqlite:///{FOLDER / 'optuna.db'}", FOLDER)
    for trial in study.dead():
        leftovers.wait(trial)
        study.again(trial)
    if study.left:
        if present := settings.present:
            study.begin_with(present)
        _run(sought, str(file), settings, study, min(workers, study.left), environment)
    print("\n".join(table.lines(study, sought)))
    if (best := study.best) is None:
        raise StageError(f"{file}: no trial was completed; what their flows said is in {FOLDER / sought.study}")
    if write:
        changed = winner.write(paths.PARAMS, sought.settings(best.params))
        print(f"params.yaml: {'; '.join(changed) or 'it has these values already'}")


def _run(
    sought: Space, file: str, settings: Settings, study: Study, workers: int, environment: Mapping[str, str]
) -> None:
    """Run the trials that are left; their flows share a Prefect server, which takes longer to start than they do."""
    with server.starting() as started, slots.workspaces(sought.study, workers, FOLDER) as taken:
        for workspace in taken:
            leftovers.wait_in(workspace)
            workspace.bring(settings.of({}))
        steps = Steps(taken[0].root, sought, file)
        with Runs(sought, study) as runs:
            server.wait(started)
            variables = {**environment, "PREFECT_API_URL": os.environ["PREFECT_API_URL"]}
            if steps.constant:
                print("what is the same in every trial:", flush=True)
                taken[0].run(workers, variables | runs.environment, steps.constant)
            watched = steps.judged if sought.goal.is_curve else ""
            attempt = Attempt(sought.stages, sought.goal, watched, variables, FOLDER / sought.study, Event())
            progress = Progress(study, sought.trials, workers)
            Slots(sought, settings, study, runs, attempt, progress).run(taken)
