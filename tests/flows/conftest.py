"""Small DVC projects, and one Prefect server for all flows that are run on them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from flows import server
from stages import paths
from stages.tracking import spool, store  # noqa: F401  (the store's settings are part of the folder's name)

GRAPH = {
    "stages": {
        "top": {"cmd": "python work.py top", "deps": ["work.py"], "params": ["size"], "outs": ["top"]},
        "left": {"cmd": "python work.py left top", "deps": ["top"], "outs": ["left"]},
        "right": {"cmd": "python work.py right top", "deps": ["top"], "outs": ["right"]},
        "join": {"cmd": "python work.py join left right", "deps": ["left", "right"], "outs": ["join"]},
        "each": {
            "matrix": {"x": ["a", "b"]},
            "cmd": "python work.py each-${item.x} right",
            "deps": ["right"],
            "outs": ["each-${item.x}"],
        },
        "alone": {"cmd": "python work.py alone", "outs": ["alone"]},
        "still": {"cmd": "python work.py still alone", "deps": ["alone"], "outs": ["still"], "frozen": True},
    }
}

WORK = """
import os, pathlib, sys, time

name, *needs = sys.argv[1:]
with open("executed", "a") as file:
    print(name, file=file)
if meet := {"left": "right", "right": "left"}.get(name) if "MEET" in os.environ else None:
    pathlib.Path(f"met-{name}").touch()
    limit = time.monotonic() + 60
    while not pathlib.Path(f"met-{meet}").exists():
        assert time.monotonic() < limit, f"{meet} never ran beside {name}"
        time.sleep(0.02)
if os.environ.get("BREAK") == name:
    sys.exit("broken on purpose")
text = "".join(pathlib.Path(need).read_text() for need in needs)
pathlib.Path(name).write_text(text + pathlib.Path("params.yaml").read_text() * (name == "top") + name)
"""


@dataclass
class Project:
    """A DVC project in a folder of its own, and the processes that a test runs in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m <command>`` in the project."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=500,
        )

    def copy(self, root: Path) -> Project:
        """The same project with a cache of its own."""
        shutil.copytree(self.root, root)
        return Project(root, self.environment)

    def executed(self) -> list[str]:
        """The stages whose commands ran, in order; forgotten once read."""
        file = self.root / "executed"
        names = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return names

    @property
    def lock(self) -> bytes:
        """The bytes of `dvc.lock`."""
        return (self.root / "dvc.lock").read_bytes()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let what the tests start be interrupted, also where a shell in the background has forbidden it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's state, shared by all tests, as a new one costs ten seconds of migrations."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def project(tmp_path: Path, prefect_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A diamond, a matrix, a stage without dependencies and a frozen one; nothing has run yet."""
    project = new_project(tmp_path / "project", prefect_home)
    monkeypatch.chdir(project.root)
    yield project
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.environment["MLFLOW_TRACKING_URI"])
    shutil.rmtree(spool.folder(), ignore_errors=True)  # in which a flow leaves word for a recorder that no stage starts


def new_project(root: Path, prefect_home: Path) -> Project:
    """Such a project in a folder of its own, whose locks of devices and MLflow store lie beside it."""
    root.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(paths.ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PREFECT_HOME": str(prefect_home),
        "TMPDIR": str(root.parent),  # the locks of devices: other flows on this machine are not waited for
        "MLFLOW_TRACKING_URI": f"sqlite:///{root.parent / 'mlflow.db'}",
    }
    environment.pop("PREFECT_API_URL", None)
    project = Project(root, environment)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    project.run("dvc", "init", "-q").check_returncode()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    (root / "params.yaml").write_text("size: 1\n")
    (root / "work.py").write_text(WORK)
    (root / "still").write_text("kept by hand, as a frozen stage's out is")
    outs = ["top", "left", "right", "join", "each-a", "each-b", "alone", "still"]
    (root / ".gitignore").write_text("".join(f"/{out}\n" for out in outs))
    return project


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[str]:
    """The address of a Prefect server that lives as long as the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(prefect_home))
        patch.delenv("PREFECT_API_URL", raising=False)
        with server.starting() as started:
            server.wait(started)
            yield os.environ["PREFECT_API_URL"]
