"""MLflow's UI as `make ui` serves it: from what a page asks on to exactly the runs behind it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from mlflow import MlflowClient

from flows import trace, ui
from stages.errors import StageError
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COLUMNS = "objective,task,method,compressor,seed,split,metric,value,lower,upper,examples"
ROWS = ("clm,imdb,full,none,0,test,accuracy,0.7244,,,", "clm,imdb,full,none,1,test,accuracy,0.7276,,,")

MATRIX = """
stages:
  finetune:
    matrix: {objective: [clm], task: [imdb], method: [full], seed: [0, 1]}
    cmd: python work.py clm-imdb-full-${item.seed}
    deps: [work.py]
    outs:
      - clm-imdb-full-${item.seed}
"""


@dataclass
class Served:
    """A UI that runs."""

    port: int
    root: Path
    runs: dict[str, str]

    def get(self, path: str) -> http.client.HTTPResponse:
        """Ask without following."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        return connection.getresponse()

    def listed(self, address: str) -> list[str]:
        """The ids of the runs that the UI lists at an address, asked for as the UI asks."""
        query = parse_qs(address.partition("?")[2])
        head = address.partition("?")[0].split("/")
        ids = json.loads(query["experiments"][0]) if "experiments" in query else [head[head.index("experiments") + 1]]
        asked = {"experiment_ids": ids, "filter": query.get("searchFilter", [""])[0]}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/ajax-api/2.0/mlflow/runs/search", json.dumps(asked), headers)
        return [run["info"]["run_id"] for run in json.loads(connection.getresponse().read())["runs"]]


def logged(project: Project, root: Path) -> dict[str, str]:
    """A run of each seed that made what there is, and one of the first that made something else."""
    client, made = MlflowClient(project.environment["MLFLOW_TRACKING_URI"]), trace.locked(root)
    ids = {}
    for number, name in enumerate(["finetune@clm-imdb-full-0", "finetune@clm-imdb-full-1"]):
        for kind, md5 in (("present", next(iter(made[name].outs.values()))), ("earlier", "f" * 32)):
            experiment = client.create_experiment(f"{kind} {number}")
            tags = {"dvc.stage": name, f"output.clm-imdb-full-{number}": md5}
            run = client.create_run(experiment, tags=tags, run_name=f"{kind} {number}")
            client.set_terminated(run.info.run_id)
            ids[f"{kind} {number}"] = run.info.run_id
    return ids


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def served(project: Project) -> Iterator[Served]:
    """The UI over a project of two stages that were run and logged."""
    (project.root / "dvc.yaml").write_text(MATRIX)
    assert project.run("dvc", "repro", "-q").returncode == 0
    (project.root / "reports").mkdir()
    (project.root / "reports" / "results.csv").write_text("\n".join([COLUMNS, *ROWS]) + "\n")
    runs, port = logged(project, project.root), free_port()
    command = [sys.executable, "-m", "flows", "ui", "--port", str(port)]
    server = subprocess.Popen(command, cwd=project.root, env=project.environment, stdout=subprocess.PIPE, text=True)
    found = Served(port, project.root, runs)
    try:
        wait(found, server)
        yield found
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait(served: Served, server: subprocess.Popen[str]) -> None:
    for _ in range(240):
        assert server.poll() is None
        try:
            served.get("/health").read()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError("the UI never answered")


def publish(root: Path) -> None:
    """A report whose model with seed 0 is that of the earlier run."""
    folder = root / "reports" / "full"
    folder.mkdir()
    md5 = trace.locked(root)["finetune@clm-imdb-full-0"].outs["clm-imdb-full-0"]
    (folder / "dvc.lock").write_text((root / "dvc.lock").read_text().replace(md5, "f" * 32))
    (folder / "results.csv").write_text("\n".join([COLUMNS, ROWS[0].replace("0.7244", "0.9")]) + "\n")


def test_a_number_leads_to_its_runs_until_what_it_stands_on_changes(served: Served, project: Project) -> None:
    """To the runs of both seeds that made what there is now, over two experiments, and to no others.

    A published report has its own numbers, and its own lock file: of other outputs there is another run.
    """
    question = "/trace?" + urlencode({"of": "imdb full clm none accuracy"})
    answer = served.get(question)
    assert answer.status == 307
    assert sorted(served.listed(answer.headers["Location"])) == sorted(
        served.runs[name] for name in ("present 0", "present 1")
    )
    one = served.get("/trace?" + urlencode({"of": "finetune@clm-imdb-full-1"})).headers["Location"]
    assert served.listed(one) == [served.runs["present 1"]]
    assert b"<title>MLflow</title>" in served.get("/").read()
    assert served.get("/trace?of=nothing").status == 404

    client = MlflowClient(project.environment["MLFLOW_TRACKING_URI"])
    addresses = dict(ui.addresses(client))
    assert list(addresses) == ["everything", "earlier 0", "earlier 1", "present 0", "present 1"]
    assert sorted(served.listed(addresses["everything"])) == sorted(served.runs.values())
    assert served.listed(addresses["present 1"]) == [served.runs["present 1"]]

    publish(served.root)
    theirs = served.get("/trace?" + urlencode({"of": "imdb full clm accuracy", "report": "full"})).headers["Location"]
    assert served.listed(theirs) == [served.runs["earlier 0"]]
    assert served.get("/trace?of=imdb&report=gone").status == 404

    (served.root / "work.py").write_text((served.root / "work.py").read_text() + "\n")
    page = served.get(question)
    text = page.read().decode()
    assert page.status == 200
    assert text.count("STALE: work.py changed") == 2
    assert "dvc repro --single-item --force finetune@clm-imdb-full-0" in text
    assert all((served.runs[name] in text) == name.startswith("present") for name in served.runs)


def test_what_keeps_it_from_being_served_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StageError, match=f"port {port}: Address already in use; give another one with --port"):
            ui.serve(tmp_path, port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.org")
    with pytest.raises(StageError, match=r"names a server: open http://example\.org"):
        ui.serve(tmp_path, port)
