"""MLflow's UI over everything that was logged, with one page more: ``/trace`` leads from numbers to their runs.

reports/index.html asks it what `python -m flows trace` is asked: ``/trace?of=imdb+full+mlm+accuracy``. If all is as it
was recorded, it goes on to MLflow's list of exactly the runs behind; else it says what has changed since.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flows import trace
from stages import paths
from stages.errors import StageError
from stages.tracking import links, service, spool, store, views

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from starlette.requests import Request
    from starlette.responses import Response

HOST, CURVES = "127.0.0.1", "pretrain"
"""Where it is served, and the experiment that is looked at for its curves."""

STORES = ("_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_REGISTRY_STORE")
SETTINGS = {
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(paths.STATE / "mlartifacts"),
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""What `mlflow server` tells the processes that serve: it starts only applications that are installed as packages."""

PAGE = Path(__file__).with_suffix(".html.j2")


def serve(root: Path, port: int) -> None:
    """Print the addresses, and serve them until Ctrl-C. Runs that dead processes left RUNNING are ended first.

    Raises:
        StageError: another process listens on the port, or the store is a server, which has a UI of its own.
    """
    if store.uri().startswith("http"):
        raise StageError(f"MLFLOW_TRACKING_URI names a server: open {store.uri()} in a browser")
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise StageError(f"port {port}: {os.strerror(error.errno or 0)}; give another one with --port") from None
    if (folder := spool.folder()).is_dir():
        service.start(folder)  # for what a recorder that was killed has left
    client = store.connect()
    store.reconcile(client)
    print("MLflow UI (Ctrl-C closes it):")
    for name, address in addresses(client):
        print(f"  {name:16} {links.address(port)}{address}", flush=True)
    _listen(root, port)


def addresses(client: MlflowClient) -> Iterator[tuple[str, str]]:
    """What to open: every kind of stage, and all of them in one list, where they stand beneath their pipelines."""
    found = client.search_experiments(filter_string="name != 'Default'", order_by=["name"])
    yield "everything", links.runs([item.experiment_id for item in found])
    for item in found:
        views.give(client, item.experiment_id, item.name)  # that of this version, whichever made the experiment
        yield item.name, links.runs([item.experiment_id], charts=item.name == CURVES)


def _listen(root: Path, port: int) -> None:
    """MLflow's own application in this process, with our page before its own."""
    os.environ |= {name: store.uri() for name in STORES} | SETTINGS
    import uvicorn

    with warnings.catch_warnings(action="ignore"):  # of what MLflow's server itself is built with
        from mlflow.server.fastapi_app import app
    from starlette.routing import Route

    def answer(request: Request) -> Response:
        return respond(request.query_params.getlist("of"), root, request.query_params.get("report", ""))

    app.router.routes.insert(0, Route("/trace", answer))
    uvicorn.run(app, host=HOST, port=port, log_level="warning")


def respond(asked: list[str], root: Path, report: str) -> Response:
    """On to MLflow's list of the runs behind all that is asked, or a page that says why that is not enough."""
    from starlette.responses import HTMLResponse, RedirectResponse

    try:
        found = [item for words in asked for item in trace.traced(words.split(), root, report)]
    except StageError as error:
        return HTMLResponse(_page(error=str(error)), status_code=404)
    stages = {item.stage.name: item for _, items in found for item in items}
    runs = [run for item in stages.values() for run in item.runs]
    listed = _list(runs) if runs else ""
    if listed and all(item.runs and not item.stale for item in stages.values()):
        return RedirectResponse(f"/{listed}")
    return HTMLResponse(_page(titles=[title for title, _ in found], stages=stages.values(), listed=listed))


def _list(runs: list[trace.Logged]) -> str:
    ids = ", ".join(f"'{run.id}'" for run in runs)
    return links.runs(sorted({run.experiment for run in runs}), f"attributes.run_id IN ({ids})")


def _page(**content: object) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, autoescape=True)
    return environment.from_string(PAGE.read_text(encoding="utf-8")).render({"error": "", "links": links, **content})
