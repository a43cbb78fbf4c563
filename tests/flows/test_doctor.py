"""What the doctor finds, each made on purpose, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from flows import doctor
from stages.tracking import store
from tests.flows.conftest import Project


@pytest.fixture(autouse=True)
def healthy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a commit, a record and a store, in which nothing is to be mended."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root / 'mlflow.db'}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (project.root / "params.yaml").write_text("rate: 1\nresources: {}\n")
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    for arguments in (["add", "."], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=project.root, check=True)
    store.connect()
    return project


def found(project: Project) -> list[str]:
    return [str(finding) for finding in doctor.examine(project.root)]


def test_nothing_is_found_where_nothing_is_wrong(project: Project) -> None:
    assert found(project) == []


def lose_git(project: Project) -> None:
    shutil.rmtree(project.root / ".git")


def untrack(project: Project) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "dvc.lock"], cwd=project.root, check=True)


def break_lock(project: Project) -> None:
    (project.root / "dvc.lock").write_text("stages: {")


def kill_flow(project: Project) -> None:
    (project.root / ".state").mkdir()
    (project.root / ".state" / "lock-order.json").write_text("[]")


def lose_remote(project: Project) -> None:
    project.run("dvc", "remote", "add", "far", str(project.root / "nowhere")).check_returncode()


def ask_too_much(project: Project) -> None:
    (project.root / "params.yaml").write_text("resources: {'*': {gpus: 4}}\n")


def ask_wrongly(project: Project) -> None:
    (project.root / "params.yaml").write_text("resources: {'*': {gpus: -1}}\n")


def hide_a_parameter(project: Project) -> None:
    (project.root / "params.yaml").write_text("model: {size: 1}\n")


def break_store(project: Project) -> None:
    file = project.root / "mlflow.db"
    file.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lose_git, "git: there is no commit"),
        (untrack, "git: dvc.lock is not tracked\n    git add dvc.lock"),
        (break_lock, "dvc: dvc.lock is not valid YAML"),
        (kill_flow, "dvc: a flow was killed before it settled dvc.lock"),
        (lose_remote, "remote: far: there is no folder"),
        (ask_too_much, "devices: a stage asks for 4 GPUs, and would train on 0, which gives other numbers"),
        (ask_wrongly, "parameters: params.yaml: resources.*: gpus: "),
        (hide_a_parameter, "parameters: params.yaml: model.size\n    name it otherwise"),
        (break_store, "mlflow: "),
    ],
)
def test_each_harm_is_found(project: Project, harm: object, expected: str) -> None:
    harm(project)  # type: ignore[operator]
    assert any(text.startswith(expected) for text in found(project)), found(project)


def test_versions_that_clash_or_stray(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"prefect": "3.8.8", "fastapi": "0.155.0", "dvc": "3.67.1", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(metadata, "version", installed.__getitem__)
    (project.root / "requirements.lock").write_text("fastapi==0.150.0\ntorch==2.13.0\n")
    assert [finding.problem for finding in doctor.versions(project.root)] == [
        "prefect<3.9 with fastapi>=0.155",
        "not as in requirements.lock: fastapi",
    ]
    installed["fastapi"] = "0.150.0"
    assert not list(doctor.versions(project.root))


def test_devices_server_and_disk(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free.getsockname()[1]}/api")
    usage = shutil.disk_usage(project.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000_000))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    problems = "\n".join(found(project))
    assert "devices: 2 GPUs, and no stage asks for one" in problems
    assert "CUDA_VISIBLE_DEVICES is set where there is no driver" in problems
    assert "prefect: nothing answers at http://127.0.0.1:" in problems
    assert "disk: 1.0 GB are free" in problems


def test_the_command_ends_with_what_is_to_be_mended(project: Project) -> None:
    project.environment |= {"CUDA_VISIBLE_DEVICES": "", "MLFLOW_TRACKING_URI": "sqlite:///" + str(Path("mlflow.db"))}
    assert project.run("flows", "doctor").stdout == "Nothing to mend.\n"
    untrack(project)
    done = project.run("flows", "doctor")
    assert (done.returncode, done.stderr) == (1, "error: 1 to mend\n")
