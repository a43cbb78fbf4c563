"""The MLflow store: opened safely by many processes at once, and swept of runs that died."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages import paths
from stages.tracking import lineage, views

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""MLflow sends nothing home, and gives up on a remote server within half a minute."""

for _name, _value in SETTINGS.items():  # MLflow reads them when it is first imported, wherever that is
    os.environ.setdefault(_name, _value)


def uri() -> str:
    """Where runs are recorded: ``MLFLOW_TRACKING_URI``, or the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{paths.STATE / 'mlflow.db'}"


def connect() -> MlflowClient:
    """Open the store; make it if it is new.

    The first use of a database creates its tables, which MLflow does without a lock: several
    processes at once would break each other.
    """
    from mlflow import MlflowClient

    database = file()
    if database is None:
        return MlflowClient(uri())
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401  (takes a second: not under the lock)

    with _locked(database):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # readers and writers don't block each other
        return MlflowClient(uri())


def experiment(client: MlflowClient, name: str) -> str:
    """The id of the experiment called `name`, made if it is new; another process may make it meanwhile."""
    from mlflow.exceptions import MlflowException

    database = file()
    location = (database.parent / "mlartifacts" / name).as_uri() if database else None
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        made = str(client.create_experiment(name, artifact_location=location))
        views.give(client, made, name)
        return made
    except MlflowException:
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def reconcile(client: MlflowClient) -> None:
    """End as KILLED every run that a dead process of this machine left RUNNING."""
    experiments = [item.experiment_id for item in client.search_experiments()]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'"):
        process = run.data.tags.get("process")
        if process and lineage.is_dead(process):
            client.set_terminated(run.info.run_id, status="KILLED")


def file() -> Path | None:
    """The sqlite file behind the store; None for a server or another database."""
    return Path(uri().removeprefix(SQLITE)).resolve() if uri().startswith(SQLITE) else None


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
