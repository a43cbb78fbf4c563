"""SIGKILL of what runs a flow, at random moments: nothing is lost, nothing runs twice, nothing stays behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from flows import processes
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STAGES = 12


@pytest.fixture
def chains(project: Project) -> Project:
    """Three chains of four stages, each of which says when it begins and when it is done."""
    made = {}
    for number in range(STAGES):
        name, before = f"s{number}", f"s{number - 3}" if number >= 3 else "work.py"
        command = f"echo {name} >> begun; sleep 0.4; echo {name} > {name}; echo {name} >> finished"
        made[name] = {"cmd": command, "deps": [before], "outs": [name]}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}))
    (project.root / ".gitignore").write_text("/s*\n")
    return project


def start(project: Project) -> subprocess.Popen[bytes]:
    with (project.root / "flow.log").open("ab") as log:
        command = [sys.executable, "-m", "flows", "run", "--workers", "3"]
        return subprocess.Popen(command, cwd=project.root, env=project.environment, stdout=log, stderr=log)


def noted(project: Project, file: str) -> Counter[str]:
    path = project.root / file
    return Counter(path.read_text().split() if path.exists() else [])


def wait_for(project: Project, begun: int, flow: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 200
    while noted(project, "begun").total() < begun and flow.poll() is None:
        assert time.monotonic() < limit, (project.root / "flow.log").read_text()
        time.sleep(0.01)


def at_work(root: Path) -> list[str]:
    """Processes that have this project as their folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if process.pid != os.getpid() and Path(process.cwd()) == root and processes.is_alive(process.pid):
                found.append(" ".join(process.info["cmdline"]))
    return found


def unrecorded(project: Project) -> set[str]:
    """Stages whose command has come to its end, and that dvc.lock knows nothing of yet."""
    lock = project.root / "dvc.lock"
    known = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    return set(noted(project, "finished")) - set(known)


def finish(project: Project, lost: Collection[str] = ()) -> None:
    """Run the flow to its end, and compare all that it leaves with a serial run.

    ``lost``: stages that may have been killed between their command's end and its record; they alone are made again.
    """
    done = project.run("flows", "run", "--workers", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    made = noted(project, "finished")
    assert len(made) == STAGES
    assert {name for name, count in made.items() if count > 1} <= set(lost)
    assert not at_work(project.root)
    assert project.run("dvc", "status", "--quiet").returncode == 0
    serial = project.copy(project.root.parent / "serial")
    (serial.root / "dvc.lock").unlink()
    for name in noted(project, "finished"):
        (serial.root / name).unlink()
    serial.run("dvc", "repro", "-q").check_returncode()
    assert project.lock == serial.lock


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_flow_that_is_killed(chains: Project, prefect_server: str, seed: int) -> None:
    """What it has started goes on and is recorded; the next flow waits for it, and runs each other stage once."""
    chains.environment["PREFECT_API_URL"] = prefect_server
    draw = random.Random(seed)
    for begun in sorted(draw.sample(range(1, STAGES), 2)):
        flow = start(chains)
        wait_for(chains, begun, flow)
        time.sleep(draw.uniform(0, 0.5))
        flow.kill()
        flow.wait()
    finish(chains)
    assert set(noted(chains, "begun").values()) == {1}


@pytest.mark.parametrize("seed", [0, 1])
def test_processes_of_stages_that_are_killed(chains: Project, prefect_server: str, seed: int) -> None:
    """DVC's processes and the commands, whichever is hit: the flow itself tries again."""
    chains.environment["PREFECT_API_URL"] = prefect_server
    draw = random.Random(seed)
    flow = start(chains)
    lost: set[str] = set()
    for begun in (1, 4, 7):
        wait_for(chains, begun, flow)
        time.sleep(draw.uniform(0, 0.3))
        with suppress(psutil.NoSuchProcess):  # whatever is looked at may end meanwhile
            children = psutil.Process(flow.pid).children()
            nursery = next(child for child in children if "flows.nursery" in child.cmdline())
            if family := nursery.children(recursive=True):
                draw.choice(family).kill()
                lost |= unrecorded(chains)
    assert flow.wait(timeout=200) == 0, (chains.root / "flow.log").read_text()
    finish(chains, lost)


def test_a_prefect_server_that_is_killed(chains: Project) -> None:
    """The flow's own one: it is started again, and the flow goes on to its end."""
    flow = start(chains)
    wait_for(chains, 2, flow)
    server = next(child for child in psutil.Process(flow.pid).children() if "flows.server" in child.cmdline())
    server.kill()
    assert flow.wait(timeout=300) == 0
    finish(chains)
    assert set(noted(chains, "begun").values()) == {1}
