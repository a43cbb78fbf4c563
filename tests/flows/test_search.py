"""Searches of a small DVC project: trials are runs of its graph, and a search that is killed goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from flows import processes
from stages import paths
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GRAPH = {
    "stages": {
        "ground": {"cmd": "python work.py ground", "deps": ["work.py"], "outs": ["ground"]},
        "train": {
            "cmd": "python work.py train",
            "deps": ["ground"],
            "params": ["pretrain.learning_rate", "pretrain.batch_size"],
            "outs": ["model", "curve.csv"],
        },
        "alone": {
            "cmd": "python work.py alone",
            "deps": ["work.py"],
            "params": ["pretrain.learning_rate", "pretrain.batch_size"],
            "outs": ["metrics.json"],
        },
    }
}

WORK = """
import json, math, os, pathlib, sys, time
import yaml

NOTES, BEST = pathlib.Path(os.environ["NOTES"]), 0.008

def note(kind, what):
    with (NOTES / kind).open("a") as file:
        print(what, file=file, flush=True)

def wait(condition):
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit, "it never came to pass"
        time.sleep(0.02)

def curve(rate, score):
    from stages import tracking

    rows = ["step,score"]
    with tracking.run("train", "train", {}, {}, [], []) as run:
        wait(lambda: len((NOTES / "begun").read_text().split()) == 2)  # another one is at work beside it
        for step in (1, 2, 3):
            if rate != BEST and step == 2:
                wait((NOTES / "go").exists)
            rows.append(f"{step},{score}")
            run.log({"validation.score": score}, step)
            if rate != BEST and step == 2:
                time.sleep(300)
    pathlib.Path("curve.csv").write_text("\\n".join(rows) + "\\n")
    pathlib.Path("model").write_text(str(rate))

name = sys.argv[1]
if name == "ground":
    note("ground", "made")
    pathlib.Path("ground").write_text("")
    sys.exit()
settings = yaml.safe_load(pathlib.Path("params.yaml").read_text())["pretrain"]
rate, batch = settings["learning_rate"], settings["batch_size"]
score = 1 - abs(math.log(rate / BEST)) - abs(batch - 16) / 100
note("pids", os.getpid())
note("begun", f"{rate}/{batch}")
if name == "train":
    curve(rate, score)
else:
    if os.environ.get("FAIL") == str(rate):
        sys.exit("error: it cannot be done: try something else")
    if "HOLD" in os.environ:
        wait((NOTES / os.environ["HOLD"]).exists)
    pathlib.Path("metrics.json").write_text(json.dumps({"split": "validation", "score": score}))
note("ended", f"{rate}/{batch}")
"""

SPACE: dict[str, Any] = {
    "study": "s",
    "stages": ["alone"],
    "goal": {"file": "metrics.json", "key": "score", "direction": "maximize"},
    "parameters": {
        "pretrain.learning_rate": {"kind": "float", "low": 0.0001, "high": 0.1, "log": True},
        "pretrain.batch_size": {"kind": "int", "low": 8, "high": 32},
    },
    "trials": 3,
}
PRUNED: dict[str, Any] = {
    "stages": ["train"],
    "goal": {"file": "curve.csv", "key": "score", "direction": "maximize", "point": "best"},
    "pruner": {"kind": "median", "after_trials": 1},
    "trials": 2,
}


@pytest.fixture
def sought(project: Project) -> Project:
    """A project with the code and parameters of this one, whose only training computes a known function."""
    root = project.root
    for name in ("flows", "stages"):
        shutil.copytree(paths.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(paths.PARAMS, root / "params.yaml")
    (root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    (root / "work.py").write_text(WORK)
    (root / ".gitignore").write_text("/ground\n/model\n/curve.csv\n/metrics.json\n/.state/\n__pycache__/\n")
    for arguments in (["add", "."], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    notes = root.parent / "notes"
    notes.mkdir()
    project.environment["NOTES"] = str(notes)
    project.environment.pop("PYTHONPATH")
    return project


def describe(project: Project, **changes: Any) -> None:
    (project.root / "x.yaml").write_text(yaml.safe_dump(SPACE | changes, sort_keys=False))


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(sought: Project) -> Iterator[Start]:
    """Starts searches in the project; what is left of them after the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str, **environment: str) -> subprocess.Popen[str]:
        search = subprocess.Popen(
            [sys.executable, "-m", "flows", "search", "--space", "x.yaml", *options],
            cwd=sought.root, env=sought.environment | environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(search)
        return search

    yield begin
    processes.end(*(search.pid for search in started if search.poll() is None))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.2)


def noted(project: Project, kind: str) -> list[str]:
    file = Path(project.environment["NOTES"]) / kind
    return file.read_text().split() if file.exists() else []


def trials(project: Project) -> list[FrozenTrial]:
    url = f"sqlite:///{project.root / '.state' / 'search' / 'optuna.db'}"
    return optuna.load_study(study_name="s", storage=url).trials


def runs(project: Project) -> list[Run]:
    client = MlflowClient(project.environment["MLFLOW_TRACKING_URI"])
    found = client.get_experiment_by_name("search")
    assert found
    return list(client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"]))


def test_two_trials_at_once_of_which_one_is_pruned(sought: Project, start: Start, prefect_server: str) -> None:
    """What no trial changes is made once; the winner goes into params.yaml, and its result is in the cache."""
    sought.environment["PREFECT_API_URL"] = prefect_server
    describe(sought, **PRUNED)
    done = start("-w", "2", "--write")
    wait_for(lambda: len(noted(sought, "begun")) == 2, done)
    wait_for(lambda: runs(sought)[1].info.status == "FINISHED", done)
    (Path(sought.environment["NOTES"]) / "go").touch()
    since = time.monotonic()
    output, errors = done.communicate(timeout=200)
    assert done.returncode == 0, output + errors
    assert time.monotonic() - since < 60  # it would have slept for five minutes
    assert not any(processes.is_alive(int(pid)) for pid in noted(sought, "pids"))
    assert noted(sought, "ground") == ["made"]
    assert noted(sought, "ended") == ["0.008/16"]
    first, second = trials(sought)
    assert (first.state, first.value) == (
        TrialState.COMPLETE,
        1.0,
    )  # params.yaml as it is, where the function is highest
    assert second.state is TrialState.PRUNED
    assert list(first.intermediate_values) == [1, 2, 3]
    assert list(second.intermediate_values) == [1, 2]
    assert "best: trial 0, score 1: pretrain.learning_rate 0.008, pretrain.batch_size 16\n" in output
    assert output.endswith("params.yaml: it has these values already\n")
    study, *nested = runs(sought)
    assert [run.info.status for run in (study, *nested)] == ["FINISHED", "FINISHED", "KILLED"]
    assert [run.data.tags["state"] for run in nested] == ["complete", "pruned"]
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {study.info.run_id}
    assert nested[0].data.metrics == {"value": 1.0, "validation.score": 1.0}
    begun = {float(trial.split("/")[0]) for trial in noted(sought, "begun")}  # whichever of both came first
    assert {float(run.data.params["pretrain.learning_rate"]) for run in nested} == begun
    assert float(nested[0].data.params["pretrain.learning_rate"]) == 0.008
    sought.run("dvc", "repro", "-q", "train").check_returncode()
    assert len(noted(sought, "begun")) == 2


def test_a_search_that_is_stopped_goes_on_with_what_is_left(sought: Project, start: Start, prefect_server: str) -> None:
    """Killed, what its flow was computing goes on to its end, and is found: nothing runs twice. Ctrl-C ends all."""
    sought.environment["PREFECT_API_URL"] = prefect_server
    describe(sought)
    killed = start(HOLD="go", FAIL="0.008")
    wait_for(lambda: len(noted(sought, "begun")) == 2, killed)
    killed.kill()
    output, _ = killed.communicate()
    assert "trial 0: failed (it cannot be done: try something else) in " in output
    assert [trial.state for trial in trials(sought)] == [TrialState.FAIL, TrialState.RUNNING]

    interrupted = start(HOLD="never")
    assert interrupted.stdout
    assert "waiting until its stages have ended" in interrupted.stdout.readline()
    (Path(sought.environment["NOTES"]) / "go").touch()
    wait_for(lambda: len(noted(sought, "begun")) == 3, interrupted)
    family = psutil.Process(interrupted.pid).children(recursive=True)
    os.killpg(interrupted.pid, signal.SIGINT)
    output, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, output + errors
    assert errors.strip() == "interrupted"
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert noted(sought, "ended") == noted(sought, "begun")[1:2]
    states = [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]
    assert [trial.state for trial in trials(sought)] == states
    assert trials(sought)[1].params == trials(sought)[2].params
    study, *nested = runs(sought)
    assert study.info.status == "KILLED"
    assert [run.info.status for run in nested] == ["FAILED", "KILLED", "FINISHED", "KILLED"]
