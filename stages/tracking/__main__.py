"""Open the MLflow UI over everything the stages have logged.

    python -m stages.tracking ui            prints one address for each kind of stage

Runs that dead processes left RUNNING are ended as KILLED first. Ctrl-C closes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from stages import command
from stages.errors import StageError
from stages.tracking import service, spool, store

CHARTS = "workflowType=machine_learning&compareRunsMode=CHART"
"""Opens an experiment on its runs side by side; by itself the UI opens on traces of agents."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace this process by the MLflow server."""
    parser = command.parser("stages.tracking", __doc__)
    ui = parser.add_subparsers(required=True).add_parser("ui", help="open the MLflow UI")
    ui.add_argument("--port", type=int, default=5000, help="default: %(default)s")
    port = parser.parse_args(arguments).port
    if store.uri().startswith("http"):
        raise StageError(f"MLFLOW_TRACKING_URI names a server: open {store.uri()} in a browser")
    if (folder := spool.folder()).is_dir():
        service.start(folder)  # for what a recorder that was killed has left
    client = store.connect()
    store.reconcile(client)
    print("MLflow UI (Ctrl-C closes it):")
    for experiment in client.search_experiments(filter_string="name != 'Default'", order_by=["name"]):
        address = f"http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs?{CHARTS}"
        print(f"  {experiment.name:12} {address}", flush=True)
    os.execve(sys.executable, _server(port), {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})


def _server(port: int) -> list[str]:
    """The command that serves the store: on this machine only, one worker, no line for each request."""
    where = ["--backend-store-uri", store.uri(), "--host", "127.0.0.1", "--port", str(port)]
    quiet = ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    return [sys.executable, "-m", "mlflow", "server", *where, *quiet]


if __name__ == "__main__":
    command.run(main)
