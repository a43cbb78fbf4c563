"""Tracking: how runs end, that nothing logged is lost, and that tags lead back to the bytes."""

from __future__ import annotations

import ast
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from stages import paths
from stages.tracking import lineage, recorder, spool, store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POINTS = 2500  # more than MLflow takes in one batch

STAGE = """
import os, pathlib, signal, sys, time
from stages import tracking

tracking.PATIENCE = 240
way, data, model = sys.argv[1:]
data, model = pathlib.Path(data), pathlib.Path(model)
with tracking.run(
    kind="pretrain", name=f"run {way}", params={"model": {"hidden_size": 8}, "seeds": [0, 1]},
    tags={"objective": way}, inputs=[data], outputs=[model],
) as run:
    for step in range(POINTS):
        run.log({"loss": 1 / (step + 1), "nan": float("nan")}, step=step)
    time.sleep(0.002)
    for step in (1, 2):
        run.log({"validation.loss": 9 - step, "validation.flops": 3e12 * step, "tokens": 10}, step=step)
    run.summary({"loss": 0.0, "validation.loss": 4.0})
    model.mkdir(exist_ok=True)
    (model / "weights").write_bytes(data.read_bytes())
    data.write_text("edited while the stage ran")
    run.artifact(model / "weights")
    if way == "failed":
        raise ValueError("no good")
    if way == "interrupted":
        raise KeyboardInterrupt
    if way in ("terminated", "killed"):
        print("ready", flush=True)
        time.sleep(600)
""".replace("POINTS", str(POINTS))

WAYS = {
    "finished": "FINISHED",
    "again": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "terminated": "KILLED",
    "killed": "KILLED",
}


@dataclass(frozen=True)
class Ended:
    """A stage process that has ended, and the run it left."""

    code: int
    errors: str
    run: Run


def start(folder: Path, way: str, uri: str, **environment: str) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_text("text")
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, way, str(folder / "data"), str(folder / "model")],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), "MLFLOW_TRACKING_URI": uri, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="module")
def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'store' / 'mlflow.db'}")


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[str, Ended]:
    """Six stages started at once on a store that does not exist yet, each ended its own way."""
    uri = f"sqlite:///{folder / 'store' / 'mlflow.db'}"
    stages = {way: start(folder / way, way, uri) for way in WAYS}
    for way, number in {"terminated": signal.SIGTERM, "killed": signal.SIGKILL}.items():
        assert stages[way].stdout.readline() == "ready\n"  # type: ignore[union-attr]
        stages[way].send_signal(number)
    outputs = {way: stage.communicate(timeout=240) for way, stage in stages.items()}
    runs = wait_for_runs(MlflowClient(uri))
    return {way: Ended(stages[way].returncode, outputs[way][1], runs[way]) for way in WAYS}


def wait_for_runs(client: MlflowClient) -> dict[str, Run]:
    """The runs by objective, once the recorders of interrupted stages have ended them too."""
    for _ in range(480):
        if experiment := client.get_experiment_by_name("pretrain"):
            runs = client.search_runs([experiment.experiment_id])
            if len(runs) == len(WAYS) and all(run.info.status != "RUNNING" for run in runs):
                return {run.data.tags["objective"]: run for run in runs}
        time.sleep(0.5)
    raise AssertionError("some runs never ended")


def test_processes_started_at_once_on_a_new_store_all_succeed(ended: dict[str, Ended]) -> None:
    assert ended["finished"].code == ended["again"].code == 0
    assert ended["failed"].code == 1
    assert [ended[way].errors for way in ("finished", "again", "terminated", "killed")] == [""] * 4


@pytest.mark.parametrize(("way", "status"), WAYS.items())
def test_a_run_ends_as_its_stage_did(ended: dict[str, Ended], way: str, status: str) -> None:
    assert ended[way].run.info.status == status


def test_curves_are_stored_in_full(ended: dict[str, Ended], client: MlflowClient) -> None:
    for way in ("finished", "killed"):
        curve = client.get_metric_history(ended[way].run.info.run_id, "loss")
        assert {point.step: point.value for point in curve if point.value} == {
            step: 1 / (step + 1) for step in range(POINTS)
        }


def test_what_is_held_out_is_drawn_over_flops_as_well(ended: dict[str, Ended], client: MlflowClient) -> None:
    curve = client.get_metric_history(ended["finished"].run.info.run_id, "over gigaflops/loss")
    assert [(point.step, point.value) for point in curve] == [(3000, 8), (6000, 7)]
    over = {name for name in ended["finished"].run.data.metrics if name.startswith("over gigaflops/")}
    assert over == {"over gigaflops/loss"}


def test_a_summary_is_the_last_value(ended: dict[str, Ended]) -> None:
    assert ended["finished"].run.data.metrics["loss"] == 0.0
    assert ended["finished"].run.data.metrics["validation.loss"] == 4.0


def test_a_run_says_on_what_it_ran_and_what_it_took(ended: dict[str, Ended]) -> None:
    run = ended["finished"].run
    assert run.data.tags["environment.torch"] == metadata.version("torch")
    assert run.data.tags["environment.python"] == platform.python_version()
    assert run.data.tags["device"]
    assert int(run.data.tags["device.cores"]) >= 1
    taken = {name: value for name, value in run.data.metrics.items() if name.startswith("system/")}
    assert taken["system/cpu_seconds"] > 0
    assert 0 < taken["system/seconds"] < 600
    assert 5e6 < taken["system/peak_memory_bytes"] < 5e9
    assert not any(name.startswith("system/") for name in ended["killed"].run.data.metrics)


def test_a_meter_tells_what_was_taken_since() -> None:
    """A process that burns two tenths of a second and holds 200 MB."""
    code = """
import time
from stages.tracking import environment
meter = environment.Meter()
held = b"x" * 200_000_000
while time.process_time() < 0.2 + 0.05: pass
time.sleep(0.3)
print(dict(meter.read()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    taken = ast.literal_eval(done.stdout)
    assert taken["system/cpu_seconds"] >= 0.2
    assert taken["system/seconds"] > 0.3
    assert taken["system/peak_memory_bytes"] > 200_000_000


def test_data_are_datasets_with_their_hashes() -> None:
    tags = {"input.data/packed": "0123456789abcdef0123456789abcdef.dir", "input.models/tokenizer": "b", "process": "c"}
    (found,) = recorder._datasets(tags)
    assert (found.dataset.name, found.dataset.digest) == ("data/packed", "0123456789abcdef0123456789abcdef.dir")
    assert json.loads(found.dataset.source) == {"uri": "data/packed"}


def test_parameters_are_flat_and_artifacts_kept(ended: dict[str, Ended], client: MlflowClient) -> None:
    run = ended["finished"].run
    assert run.info.run_name == "run finished"
    assert run.data.params == {"model.hidden_size": "8", "seeds": "[0, 1]"}
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["weights"]


def test_inputs_are_hashed_before_and_outputs_only_after_success(ended: dict[str, Ended], folder: Path) -> None:
    for way in ("finished", "failed"):
        tags = ended[way].run.data.tags
        assert tags[f"input.{folder / way / 'data'}"] == "1cb251ec0d568de6a929b520c4aed8d1"  # md5 of "text"
        assert (f"output.{folder / way / 'model'}" in tags) == (way == "finished")
    assert ended["failed"].run.data.tags["error"] == "ValueError: no good"


def test_a_run_of_a_dead_process_is_reconciled(ended: dict[str, Ended], client: MlflowClient) -> None:
    run_id, dead = ended["killed"].run.info.run_id, ended["killed"].run.data.tags["process"]
    here = lineage.origin()["process"]
    for process, expected in {here: "RUNNING", "elsewhere/1/0.00": "RUNNING", dead: "KILLED"}.items():
        client.update_run(run_id, status="RUNNING")
        client.set_tag(run_id, "process", process)
        store.reconcile(client)
        assert client.get_run(run_id).info.status == expected


def test_hashes_and_stage_name_are_those_of_dvc(ended: dict[str, Ended], folder: Path, client: MlflowClient) -> None:
    repo = folder / "repo"
    (repo / "texts").mkdir(parents=True)
    (repo / "texts" / "a b.txt").write_text("one")
    (repo / "texts" / "é.txt").write_text("two")
    (repo / "stage.py").write_text(DVC_STAGE)
    (repo / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"copy": {"cmd": "python stage.py", "deps": ["texts"], "outs": ["copy"]}}})
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(paths.ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_RUN_ID": ended["again"].run.info.run_id,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'store' / 'mlflow.db'}",
    }
    for command in (["init", "--no-scm", "-q"], ["repro", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=repo, env=environment, check=True)
    tags = client.get_run(ended["again"].run.info.run_id).data.tags
    locked = yaml.safe_load((repo / "dvc.lock").read_text())["stages"]["copy"]
    assert tags["dvc.stage"] == "copy"
    assert tags[f"input.{repo / 'texts'}"] == locked["deps"][0]["md5"]
    assert tags[f"output.{repo / 'copy'}"] == locked["outs"][0]["md5"]


DVC_STAGE = """
import pathlib, shutil
from stages import tracking

texts, copy = pathlib.Path("texts"), pathlib.Path("copy")
with tracking.run(kind="copy", name="copy", params={}, tags={}, inputs=[texts], outputs=[copy]):
    shutil.copytree(texts, copy)
"""


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/nowhere/mlflow.db"])
def test_a_store_out_of_reach_costs_a_warning_but_not_the_stage(tmp_path: Path, uri: str) -> None:
    stage = start(tmp_path, "finished", uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    _, errors = stage.communicate(timeout=240)
    assert stage.returncode == 0
    assert (tmp_path / "model" / "weights").read_text() == "text"
    assert errors.count("warning") == 1
    assert uri in errors


def recorders(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if str(folder) in _command(process)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stages started from here share with their recorder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return spool.folder()


def test_one_recorder_serves_stages_one_after_the_other(tmp_path: Path, place: Path) -> None:
    served = []
    for name in ("first", "second"):
        stage = start(tmp_path / name, "finished", store.uri())
        assert stage.communicate(timeout=240)[1] == ""
        served += recorders(place)
    assert served[0] == served[1]
    assert len(served) == 2
    assert not list(place.glob("*.jsonl"))


def test_a_recorder_that_dies_is_replaced_and_the_run_recorded(tmp_path: Path, place: Path) -> None:
    stage = start(tmp_path, "terminated", store.uri())
    assert stage.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    (recorder,) = recorders(place)
    recorder.kill()
    stage.terminate()
    assert stage.wait(timeout=240) != 0
    following = start(tmp_path / "following", "finished", store.uri())
    assert following.communicate(timeout=240)[1] == ""
    client = MlflowClient(store.uri())
    ended = client.search_runs([client.get_experiment_by_name("pretrain").experiment_id])
    assert {run.data.tags["objective"]: run.info.status for run in ended} == {
        "terminated": "KILLED",
        "finished": "FINISHED",
    }


def test_origin_names_the_commit_and_whether_sources_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert "git.commit" not in lineage.origin()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "dvc.lock").write_text("written by the run itself")
    assert len(lineage.origin()["git.commit"]) == 40
    assert lineage.origin()["git.dirty"] == "false"
    (tmp_path / "params.yaml").write_text("edited")
    assert lineage.origin()["git.dirty"] == "true"
