"""How long stages take, from the MLflow runs of earlier times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from statistics import mean

from stages.tracking import store

TAG = "dvc.stage"

LATEST = """
SELECT tags.value, runs.end_time - runs.start_time FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
WHERE tags.key = ? AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active' AND runs.end_time IS NOT NULL
ORDER BY runs.start_time
"""

MAX_RUNS = 1000
"""Runs of a server that are looked at, the latest ones."""


def durations() -> dict[str, float]:
    """Seconds of the latest finished run of each stage that has one; empty if there is no store to ask.

    The project's own database is read directly: MLflow takes longer to import than a plan may take.
    """
    if (database := store.file()) is None:
        return _from_server()
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return {stage: took / 1000 for stage, took in connection.execute(LATEST, (TAG,))}
        except sqlite3.Error:
            return {}


def expected(stages: Iterable[str], known: Mapping[str, float]) -> dict[str, float]:
    """Seconds that each of `stages` will take: as last time, or else as its kind (before the ``@``) on average."""
    kinds: dict[str, list[float]] = {}
    for stage, seconds in known.items():
        kinds.setdefault(_kind(stage), []).append(seconds)
    return {
        stage: known[stage] if stage in known else mean(kinds[_kind(stage)])
        for stage in stages
        if stage in known or _kind(stage) in kinds
    }


def _kind(stage: str) -> str:
    return stage.partition("@")[0]


def _from_server() -> dict[str, float]:
    from mlflow.exceptions import MlflowException

    try:
        client = store.connect()
        experiments = [item.experiment_id for item in client.search_experiments()]
        runs = client.search_runs(
            experiments, "attributes.status = 'FINISHED'", max_results=MAX_RUNS, order_by=["attributes.start_time DESC"]
        )
    except MlflowException:
        return {}
    return {
        run.data.tags[TAG]: (run.info.end_time - run.info.start_time) / 1000
        for run in reversed(runs)
        if TAG in run.data.tags and run.info.end_time
    }
