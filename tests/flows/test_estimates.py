"""How long stages took: from runs as the stages record them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows import estimates
from stages.tracking import store

SECOND = 1000


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path / "mlflow.db"


def record(stage: str, start: int, seconds: float, status: str = "FINISHED", delete: bool = False) -> None:
    client = store.connect()
    tags = {"dvc.stage": stage} if stage else {}
    run = client.create_run(store.experiment(client, "any"), start_time=start * SECOND, tags=tags)
    client.set_terminated(run.info.run_id, status, int((start + seconds) * SECOND))
    if delete:
        client.delete_run(run.info.run_id)


@pytest.mark.parametrize("by_server", [False, True])
def test_the_latest_finished_run_of_a_stage_counts(
    database: Path, by_server: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same from the database itself as through MLflow's own client, which is how a server is asked."""
    record("train@a", start=200, seconds=20.5)
    record("train@a", start=100, seconds=7)
    record("train@a", start=300, seconds=1, status="FAILED")
    record("train@a", start=400, seconds=2, delete=True)
    record("join", start=100, seconds=3)
    record("", start=100, seconds=4)
    if by_server:
        monkeypatch.setattr(store, "file", store.file)
        monkeypatch.setattr(estimates.store, "file", lambda: None)
        monkeypatch.setattr(estimates.store, "connect", _client)
    assert estimates.durations() == {"train@a": 20.5, "join": 3.0}


def _client() -> object:
    from mlflow import MlflowClient

    return MlflowClient(store.uri())


def test_without_a_store_nothing_is_known(database: Path) -> None:
    assert estimates.durations() == {}
    assert not database.exists()  # asking makes none
    database.write_bytes(b"")
    assert estimates.durations() == {}


def test_a_server_that_fails_costs_the_estimates_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(400)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        assert estimates.durations() == {}
        server.shutdown()


def test_an_unknown_stage_takes_what_its_kind_takes() -> None:
    known = {"train@a": 10.0, "train@b": 20.0, "join": 3.0}
    asked = ["train@a", "train@c", "join", "report"]
    assert estimates.expected(asked, known) == {"train@a": 10.0, "train@c": 15.0, "join": 3.0}
