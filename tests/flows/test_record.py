"""A flow as a run in MLflow: above those of its stages, with how many of them came to what end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from mlflow.entities import Run

from stages.tracking import store
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORK = """
import pathlib, sys, time
from stages import tracking

name = sys.argv[1]
with tracking.run(kind="work", name=name, params={}, tags={}, inputs=[], outputs=[pathlib.Path(name)]):
    if name == "bad":
        raise ValueError("no good")
    if name == "slow":
        pathlib.Path("begun").touch()
        time.sleep(600)
    pathlib.Path(name).write_text(name)
"""


def stage(name: str, *needs: str) -> dict[str, object]:
    return {"cmd": f"python work.py {name}", "deps": list(needs), "outs": [name]}


@pytest.fixture
def tracked(project: Project, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """One stage that ends well, one that fails, one that needs it, and one that does not track."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.environment["MLFLOW_TRACKING_URI"])
    stages = {"good": stage("good"), "bad": stage("bad"), "after": stage("after", "bad")}
    plain = {"cmd": "echo plain > plain", "outs": ["plain"]}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {**stages, "plain": plain}}))
    (project.root / "work.py").write_text(WORK)
    project.environment["PREFECT_API_URL"] = prefect_server
    return project


def runs(experiment: str, count: int) -> list[Run]:
    """Those of an experiment, once as many have ended."""
    client = store.connect()  # safely, though the recorder may be making it
    for _ in range(480):
        if experiments := client.search_experiments(filter_string=f"name = '{experiment}'"):
            found = client.search_runs([item.experiment_id for item in experiments])
            if len(found) == count and all(run.info.status != "RUNNING" for run in found):
                return list(found)
        time.sleep(0.5)
    raise AssertionError(f"{experiment} never had {count} runs that ended")


def test_a_flow_stands_above_its_stages_and_counts_them(tracked: Project) -> None:
    flow = tracked.run("flows", "run", "-w", "1")
    assert flow.returncode == 1, flow.stdout + flow.stderr
    (above,) = runs("pipeline", 1)
    beneath = runs("work", 2)
    assert {run.info.run_name for run in beneath} == {"good", "bad"}
    assert {run.data.tags["mlflow.parentRunId"] for run in beneath} == {above.info.run_id}
    assert {run.data.tags["pipeline"] for run in beneath} == {above.data.tags["pipeline"]}
    assert above.info.run_name.startswith("default · 4 stages")
    assert above.info.run_name.endswith(above.data.tags["git.commit"][:8])
    assert above.data.params == {"targets": "all", "workers": "1", "stages": "4"}
    ends = {"ran": 2, "restored": 0, "unchanged": 0, "failed": 1, "skipped": 1}
    assert above.data.metrics == {f"stages/{name}": count for name, count in ends.items()}
    assert (above.info.status, above.data.tags["error"]) == ("FAILED", "failed: bad")
    assert above.info.start_time <= min(run.info.start_time for run in beneath)
    assert above.info.end_time >= max(run.info.end_time for run in beneath)
    ids = {run.info.experiment_id for run in (above, *beneath)}
    assert all(f"%22{experiment}%22" in above.data.tags["mlflow.note.content"] for experiment in ids)


def test_a_flow_that_is_killed_ends_as_killed(tracked: Project) -> None:
    (tracked.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"slow": stage("slow")}}))
    command = [sys.executable, "-m", "flows", "run", "slow"]
    flow = subprocess.Popen(command, cwd=tracked.root, env=tracked.environment, stdout=subprocess.DEVNULL)
    while not (tracked.root / "begun").exists():
        assert flow.poll() is None
        time.sleep(0.1)
    flow.kill()
    flow.wait()
    (above,) = runs("pipeline", 1)
    assert (above.info.status, above.data.params["targets"]) == ("KILLED", "slow")
    client = store.connect()
    work = client.get_experiment_by_name("work")
    (left,) = client.search_runs([work.experiment_id])
    assert left.info.status == "RUNNING"  # stages that a killed flow has started go on
    os.kill(int(left.data.tags["process"].split("/")[1]), signal.SIGKILL)
    (left,) = runs("work", 1)
    assert left.info.status == "KILLED"
    assert left.data.tags["mlflow.parentRunId"] == above.info.run_id


TRIAL = """
import subprocess, sys
from stages import tracking

with tracking.pipeline("of a trial", {}):
    subprocess.run([sys.executable, "work.py", "good"], check=True)
"""


def test_a_trial_stands_above_the_stages_and_the_flow(tracked: Project) -> None:
    client = store.connect()
    trial = client.create_run(client.create_experiment("search")).info.run_id
    environment = tracked.environment | {"PIPELINE_RUN_ID": trial}
    subprocess.run([sys.executable, "-c", TRIAL], cwd=tracked.root, env=environment, check=True)
    for experiment in ("pipeline", "work"):
        (run,) = runs(experiment, 1)
        assert run.data.tags["mlflow.parentRunId"] == trial
    assert run.data.tags["pipeline"] == trial
