"""Stages on other machines: two workers in clones with caches of their own, a folder as remote, a Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from stages import paths
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

POOL = "stages"

GRAPH = {
    "stages": {
        "top": {"cmd": "python work.py top", "deps": ["work.py"], "params": ["rate"], "outs": ["top"]},
        "each": {
            "matrix": {"x": ["a", "b", "c"]},
            "cmd": "python work.py each/${item.x} top",
            "deps": ["top"],
            "outs": ["each/${item.x}"],
        },
        "score": {"cmd": "python work.py score each/a", "deps": ["each"], "metrics": [{"score": {"cache": False}}]},
        "last": {"cmd": "python work.py last score", "deps": ["score"], "outs": ["last"]},
        "loud": {"cmd": "python work.py loud", "deps": ["work.py"]},
    }
}

WORK = """
import os, pathlib, sys

name, *needs = sys.argv[1:]
with open(os.environ["EXECUTED"], "a") as file:
    print(name, file=file)
print("working on", name)
text = "".join(pathlib.Path(need).read_text() for need in needs)
path = pathlib.Path(name)
path.parent.mkdir(exist_ok=True)
path.write_text(text + pathlib.Path("params.yaml").read_text() * (name == "top") + name)
"""


def tool(project: Project, name: str, *arguments: str) -> None:
    command = [str(Path(sys.executable).parent / name), *arguments]
    done = subprocess.run(command, cwd=project.root, env=project.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def executed(project: Project) -> list[str]:
    file = Path(project.environment["EXECUTED"])
    return file.read_text().split() if file.exists() else []


@pytest.fixture
def driver(project: Project, prefect_server: str) -> Project:
    """The project whose flow sends stages away, committed, with a remote."""
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    (project.root / "work.py").write_text(WORK)
    (project.root / "params.yaml").write_text("rate: 1\n")
    (project.root / ".gitignore").write_text("/top\n/each\n/last\n/.state\n")
    for name in ("flows", "stages", "prefect.yaml"):
        (project.root / name).symlink_to(paths.ROOT / name)
    project.environment |= {"PREFECT_API_URL": prefect_server, "EXECUTED": str(project.root.parent / "driver.log")}
    remote = project.root.parent / "remote"
    with (project.root / ".dvc" / "config").open("a") as config:
        config.write(f"    remote = shared\n['remote \"shared\"']\n    url = {remote}\n")
    git(project.root, "add", ".")
    git(project.root, "commit", "--quiet", "--message", "all")
    return project


@pytest.fixture
def workers(driver: Project) -> Iterator[list[Project]]:
    """Two workers, each in a clone."""
    tool(driver, "prefect", "work-pool", "create", POOL, "--type", "process")
    tool(driver, "prefect", "--no-prompt", "deploy", "--name", "process")
    clones, started = [], []
    for number in range(2):
        root = driver.root.parent / f"worker-{number}"
        git(driver.root.parent, "clone", "--quiet", str(driver.root), str(root))
        environment = driver.environment | {
            "PROJECT_ROOT": str(root),
            "EXECUTED": f"{root}.log",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        command = [str(Path(sys.executable).parent / "prefect"), "worker", "start", "--pool", POOL]
        clones.append(Project(root, environment))
        with Path(f"{root}.worker.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    [*command, "--name", root.name, "--limit", "1"], cwd=root, env=environment, stdout=log, stderr=log
                )
            )
    yield clones
    for worker in started:
        worker.terminate()
    for worker in started:
        worker.wait(timeout=60)


def test_workers_make_what_can_be_made_elsewhere(driver: Project, workers: list[Project]) -> None:
    serial = driver.copy(driver.root.parent / "serial")
    serial.environment["EXECUTED"] = str(driver.root.parent / "serial.log")
    serial.run("dvc", "repro", "-q").check_returncode()
    time.sleep(8)
    since = time.monotonic()
    flow = driver.run("flows", "run", "--pool", POOL, "-w", "2")
    print(time.monotonic() - since)
    print(flow.stdout, flow.stderr)
    for worker in workers:
        print(Path(f"{worker.root}.worker.log").read_text())
    assert flow.returncode == 0
    assert driver.lock == serial.lock
    assert sorted(executed(driver)) == ["last", "loud", "score"]
    assert sorted(executed(workers[0]) + executed(workers[1])) == ["each/a", "each/b", "each/c", "top"]
    assert driver.run("dvc", "status", "--quiet").returncode == 0
    print((driver.root / ".state/logs/top.log").read_text())
    assert 0
