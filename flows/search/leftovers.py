"""What a search that was killed has left at work."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import psutil
from optuna.trial import FrozenTrial

from flows import exclusive
from flows.search.study import FLOW, WORKSPACE
from flows.workspace import Workspace
from stages.tracking import lineage


def wait(trial: FrozenTrial) -> None:
    """Let the stages of a dead search's trial go on to their end, so that the trial finds them done.

    Its flow has lost its Prefect server with the search, and is ended; that ends no stage.
    """
    if FLOW in trial.user_attrs:
        pid, started = trial.user_attrs[FLOW]
        with suppress(psutil.NoSuchProcess):
            flow = psutil.Process(pid)
            if abs(flow.create_time() - started) < lineage.CLOCK_TOLERANCE:
                flow.kill()
    if WORKSPACE in trial.user_attrs:
        wait_in(Workspace(trial.user_attrs[WORKSPACE]))


def wait_in(workspace: Workspace) -> None:
    """Wait until nothing is at work in a workspace."""
    if workspace.root.exists():
        with exclusive.workspace(workspace.root, partial(print, flush=True)):
            return
