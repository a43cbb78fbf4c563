"""All trials of a search, several at a time: a slot is a workspace and a thread, and runs one trial after the other."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from optuna import TrialPruned
from optuna.exceptions import OptunaError
from optuna.trial import Trial
from sqlalchemy.exc import SQLAlchemyError

from flows.search.attempt import Attempt, Stopped
from flows.search.curve import GoalError
from flows.search.runs import Runs, TrialRun
from flows.search.settings import Settings
from flows.search.space import Space
from flows.search.study import Study
from flows.search.table import Progress
from flows.workspace import Workspace
from stages.errors import StageError


class Slots:
    """What runs the trials that are left."""

    def __init__(
        self, space: Space, settings: Settings, study: Study, runs: Runs, attempt: Attempt, progress: Progress
    ) -> None:
        self._space, self._settings, self._study = space, settings, study
        self._runs, self._attempt, self._progress = runs, attempt, progress

    def run(self, workspaces: Sequence[Workspace]) -> None:
        """Run trials until there are as many as were asked for. Whatever interrupts it ends all flows.

        Raises:
            StageError: the goal cannot be measured, or Optuna's database cannot be reached any more.
        """
        with ThreadPoolExecutor(len(workspaces)) as threads:
            futures = [threads.submit(self._work, workspace) for workspace in workspaces]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._attempt.stop.set()
        for future in futures:
            try:
                future.result()
            except (OptunaError, SQLAlchemyError) as error:
                raise StageError(f"the search has lost Optuna's database: {str(error).partition(chr(10))[0]}") from None

    def _work(self, workspace: Workspace) -> None:
        while not self._attempt.stop.is_set() and (trial := self._study.ask(workspace.name)):
            values = self._space.settings(trial.params)
            record = self._runs.trial(trial.number, values)
            self._progress.begun(trial.number, values)
            since = time.monotonic()
            self._try(workspace, trial, record)
            self._progress.ended(trial.number, time.monotonic() - since)

    def _try(self, workspace: Workspace, trial: Trial, record: TrialRun) -> None:
        """Run one trial, and say what became of it wherever that is kept."""
        try:
            parameters = self._settings.of(self._space.settings(trial.params))
            value = self._attempt.run(workspace, parameters, trial, record)
        except TrialPruned:
            self._study.prune(trial)
            record.end("pruned")
        except Stopped:
            self._study.again(trial)
            record.end("stopped")
        except StageError as error:
            self._study.fail(trial, str(error))
            record.end("failed", reason=str(error))
            if isinstance(error, GoalError):
                raise
        else:
            self._study.complete(trial, value)
            record.end("complete", value)


@contextmanager
def workspaces(study: str, number: int, folder: Path) -> Iterator[list[Workspace]]:
    """So many workspaces of the study that no other search is at work in.

    Args:
        folder: for the locks that say so.
    """
    with ExitStack() as stack:
        taken: list[Workspace] = []
        for place in count():
            if len(taken) == number:
                break
            lock = stack.enter_context((folder / f"{study}-{place}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            taken.append(Workspace(f"search-{study}-{place}"))
        yield taken
