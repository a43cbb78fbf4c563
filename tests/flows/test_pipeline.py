"""The whole flow: the same result as a serial `dvc repro`, several stages at a time, and a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import yaml

from flows.devices import Devices
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RUN = ("flows", "run")


@pytest.fixture
def served(project: Project, prefect_server: str) -> Project:
    """A project whose flows report to the shared server."""
    project.environment["PREFECT_API_URL"] = prefect_server
    return project


def test_a_flow_ends_as_a_serial_repro_does(served: Project) -> None:
    serial = served.copy(served.root.parent / "serial")
    serial.run("dvc", "repro", "-q").check_returncode()
    flow = served.run(*RUN, MEET="1")  # left and right end only if they run at the same time
    assert flow.returncode == 0, flow.stdout + flow.stderr
    assert sorted(served.executed()) == sorted(serial.executed())
    assert served.lock == serial.lock
    assert served.run("dvc", "status", "--quiet").returncode == 0

    again = served.run(*RUN)
    assert (again.returncode, again.stdout) == (0, "Everything is up to date.\n")
    assert served.executed() == []

    for project in (served, serial):  # top is made anew, but its bytes stay: nothing else runs
        (project.root / "work.py").write_text((project.root / "work.py").read_text() + "# a comment\n")
        (project.root / "join").unlink()
    serial.run("dvc", "repro", "-q").check_returncode()
    third = served.run(*RUN)
    assert third.returncode == 0, third.stdout + third.stderr
    assert served.executed() == serial.executed() == ["top"]
    assert "join  restored from the cache" in third.stdout
    assert "left  unchanged" in third.stdout
    assert served.lock == serial.lock


def test_a_failure_stops_only_what_stands_on_it(served: Project) -> None:
    flow = served.run(*RUN, BREAK="left")
    assert flow.returncode == 1
    assert sorted(served.executed()) == ["alone", "each-a", "each-b", "left", "right", "top"]
    assert "broken on purpose" in flow.stdout
    assert "left.log" in flow.stdout
    assert "not run, as what they need failed: join" in flow.stdout
    assert flow.stderr == "error: 1 of 8 stages failed: left\n"

    assert served.run(*RUN).returncode == 0
    assert served.executed() == ["left", "join"]


def test_what_other_flows_have_is_waited_for_and_that_is_said(
    served: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "touch a", "outs": ["a"]}}}))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    others = Devices.found(workers=2)
    lease = others.take(0, others.cores)
    flow = subprocess.Popen(
        [sys.executable, "-m", *RUN], cwd=served.root, env=served.environment, stdout=subprocess.PIPE, text=True
    )
    assert flow.stdout
    assert flow.stdout.readline().startswith("waiting for other flows on this machine")
    assert flow.poll() is None
    others.give_back(lease)
    assert [line.split("  ")[:2] for line in flow.stdout] == [["start", "a\n"], ["[1/1]", "a"], ["1 stage done\n"]]
    assert flow.wait(timeout=60) == 0


def test_ctrl_c_ends_everything_with_no_orphan_and_no_server(project: Project) -> None:
    stages = {name: {"cmd": f"touch begun-{name}; sleep 600", "outs": [name]} for name in ("a", "b")}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    flow = subprocess.Popen(
        [sys.executable, "-m", *RUN],
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not all((project.root / f"begun-{name}").exists() for name in stages):
        assert flow.poll() is None, flow.communicate()
        time.sleep(0.1)
    family = psutil.Process(flow.pid).children(recursive=True)
    since = time.monotonic()
    os.killpg(flow.pid, signal.SIGINT)  # as a terminal does: to all that it started, too
    output, errors = flow.communicate(timeout=60)
    took = time.monotonic() - since
    assert flow.returncode == 130
    assert errors.strip() == "interrupted"
    assert output.count("stopped") == 2
    assert took < 10  # 5 s are promised; a loaded machine is given more
    assert family
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
