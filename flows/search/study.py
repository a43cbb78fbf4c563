"""What Optuna keeps of a search, so that it can be killed at any moment and gone on with.

A trial that a dead process has left is failed and enqueued again. What is drawn for a trial depends on the seed and on
how many trials were drawn before it, so that a search that was interrupted draws what it would have drawn.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from flows.search.space import Space
from stages.errors import StageError
from stages.tracking import lineage

PROCESS, WORKSPACE, FLOW, STEP, REASON = "process", "workspace", "flow", "step", "reason"
"""Attributes of a trial: who runs it, where, as which flow, at which step of the training it was, why it failed."""

AGAIN, KNOWN = "again", "known"
"""Attributes of a trial that is run again: the number of the one that came to nothing, and how far that had come."""

SPACE, RUN = "space", "run"
"""Attributes of a study: what is searched, and the id of its MLflow run."""

PATIENCE = 120
"""Seconds that one waits for a database that another one writes to."""


class Study:
    """The trials of one search."""

    def __init__(self, space: Space, others: dict[str, Any], url: str, folder: Path) -> None:
        """Open the study, or begin it.

        Args:
            others: all parameters that are not searched; trials with other ones would not compare.
            url: of the database.
            folder: for the lock by which processes of this machine take turns.

        Raises:
            StageError: the database cannot be used, or the study was begun with another space or other parameters.
        """
        self._space = space
        self._lock = folder / f"{space.study}.lock"
        folder.mkdir(parents=True, exist_ok=True)
        self._process = lineage.origin()[PROCESS]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        now = self._comparable(others)
        with self._turn():
            self._study = self._opened(url)
            if self._changed(now) and self._came_to_nothing:
                optuna.delete_study(study_name=space.study, storage=url)
                self._study = self._opened(url)
            if changed := self._changed(now):
                raise StageError(
                    f"the study {space.study!r} was begun with other {', '.join(changed)}: its trials would not "
                    f"compare; give it another name (`study`), or put that back"
                )
            self._study.set_user_attr(SPACE, now)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All but those that were enqueued again, in order."""
        trials = self._study.get_trials(deepcopy=False)
        replaced = {trial.user_attrs.get(AGAIN) for trial in trials}
        return [trial for trial in trials if trial.number not in replaced]

    @property
    def best(self) -> FrozenTrial | None:
        """The best of those that are complete."""
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        chosen = max if self._space.goal.direction == "maximize" else min
        return chosen(complete, key=reached, default=None)

    @property
    def left(self) -> int:
        """How many trials are not done yet, of those that were asked for."""
        return max(0, self._space.trials - sum(trial.state.is_finished() for trial in self.trials))

    def dead(self) -> list[FrozenTrial]:
        """Trials whose process is gone; one that was asked for and not signed was killed in between."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        told = [(trial, trial.user_attrs.get(PROCESS)) for trial in running]
        return [trial for trial, process in told if process is None or lineage.is_dead(process)]

    def again(self, trial: FrozenTrial | Trial) -> None:
        """Fail a trial that came to nothing, and enqueue it again; done twice, it is done once."""
        with self._turn():
            if all(other.user_attrs.get(AGAIN) != trial.number for other in self._study.get_trials(deepcopy=False)):
                self._study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number, KNOWN: self._known(trial)})
            self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _known(self, trial: FrozenTrial | Trial) -> dict[str, Any]:
        now = self._study.get_trials(deepcopy=False)[trial.number]
        return {"points": list(now.intermediate_values.values()), "step": now.user_attrs.get(STEP, -1)}

    def begin_with(self, values: dict[str, Any]) -> None:
        """Let these be the first trial's, unless there is one."""
        with self._turn():
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(values)

    def ask(self, workspace: str) -> Trial | None:
        """The next trial, which will be run there; None if there are as many as were asked for."""
        with self._turn():
            begun = sum(trial.state is not TrialState.WAITING for trial in self.trials)
            if begun >= self._space.trials:
                return None
            seed = int(np.random.SeedSequence([self._space.seed, begun]).generate_state(1)[0])
            self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=self._space.random, seed=seed)
            trial = self._study.ask({key: item.distribution() for key, item in self._space.parameters.items()})
            trial.set_user_attr(WORKSPACE, workspace)
            trial.set_user_attr(PROCESS, self._process)
        return trial

    def complete(self, trial: Trial, value: float) -> None:
        """The trial has reached this."""
        self._study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """The trial was given up on the way."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """The trial has failed by itself: it is not tried again."""
        trial.set_user_attr(REASON, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def importances(self) -> dict[str, float]:
        """How much of the difference between good and bad trials each parameter makes (PED-ANOVA)."""
        return optuna.importance.get_param_importances(self._study)

    @property
    def run(self) -> str:
        """The id of the study's MLflow run; empty if there is none yet."""
        return str(self._study.user_attrs.get(RUN, ""))

    @run.setter
    def run(self, run_id: str) -> None:
        self._study.set_user_attr(RUN, run_id)

    def _opened(self, url: str) -> optuna.Study:
        options = {"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else {}
        try:
            return optuna.create_study(
                storage=optuna.storages.RDBStorage(url, engine_kwargs=options),
                study_name=self._space.study,
                direction=self._space.goal.direction,
                pruner=self._space.pruner.pruner() if self._space.pruner else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        except (OptunaError, SQLAlchemyError, ImportError) as error:
            reason = str(error).partition("\n")[0]
            raise StageError(f"--storage {url}: Optuna cannot use it: {reason}") from None

    def _comparable(self, others: dict[str, Any]) -> dict[str, Any]:
        """What must stay as it is, for trials to compare."""
        now = self._space.model_dump(mode="json", exclude={"study", "trials", "pruner", "random"})
        return now | {"params.yaml": hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()}

    def _changed(self, now: dict[str, Any]) -> list[str]:
        before = self._study.user_attrs.get(SPACE, now)
        return [key for key in now if before.get(key) != now[key]]

    @property
    def _came_to_nothing(self) -> bool:
        """Whether there is no trial yet that others could be compared to."""
        return all(trial.state in (TrialState.FAIL, TrialState.WAITING) for trial in self._study.get_trials())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One at a time, of all processes of this machine and all threads."""
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def reached(trial: FrozenTrial) -> float:
    """The value of a trial; not a number if it has none."""
    return math.nan if trial.value is None else trial.value
