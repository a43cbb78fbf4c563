"""One stage as a child: how it ends, and that nothing of it is left when it is stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from flows.run_stage import Result, log_file, run_stage
from tests.flows.conftest import Project

FAMILY = """
import os, pathlib, signal, subprocess, sys, time

if sys.argv[1:] == ["child"]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(600)
command = [sys.executable, __file__, "child"]
children = [subprocess.Popen(command, start_new_session=new) for new in (True, False)]
time.sleep(1)
pids = [os.getpid(), *(child.pid for child in children)]
pathlib.Path("pids").write_text(" ".join(str(pid) for pid in pids))
try:
    time.sleep(600)
finally:
    pathlib.Path("cleaned").touch()
"""


@pytest.fixture(autouse=True)
def environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ | project.environment)


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_every_way_a_stage_can_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_file(project.root / "logs", "top")

    def result() -> Result:
        return run_stage("top", log, threading.Event()).result

    assert result() is Result.RAN
    assert result() is Result.UNCHANGED
    (project.root / "top").unlink()
    assert result() is Result.RESTORED
    assert project.executed() == ["top"]
    (project.root / "work.py").write_text("print('hello'); raise SystemExit('broken on purpose')")
    outcome = run_stage("top", log, threading.Event())
    assert outcome.result is Result.FAILED
    assert "broken on purpose" in outcome.detail
    assert "hello" in log.read_text()


def test_a_stage_has_the_python_that_runs_the_flow(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its environment is not activated."""
    monkeypatch.setitem(os.environ, "PATH", "/usr/bin:/bin")
    (project.root / "work.py").write_text("import pathlib, sys; pathlib.Path('top').write_text(sys.prefix)")
    assert run_stage("top", log_file(project.root / "logs", "top"), threading.Event()).result is Result.RAN
    assert (project.root / "top").read_text() == sys.prefix


def test_threads_of_a_stage_do_not_spin(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process was told: beside other stages a waiting thread has to leave the core to them."""
    monkeypatch.setitem(os.environ, "GOMP_SPINCOUNT", "10000")
    script = "import os, pathlib; pathlib.Path('top').write_text(os.environ['GOMP_SPINCOUNT'])"
    (project.root / "work.py").write_text(script)
    assert run_stage("top", log_file(project.root / "logs", "top"), threading.Event()).result is Result.RAN
    assert (project.root / "top").read_text() == "0"


def test_a_stopped_stage_cleans_up_and_leaves_no_process(project: Project) -> None:
    (project.root / "work.py").write_text(FAMILY)
    pids, stop, outcomes = project.root / "pids", threading.Event(), []
    log = log_file(project.root / "logs", "top")
    thread = threading.Thread(target=lambda: outcomes.append(run_stage("top", log, stop)))
    thread.start()
    until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    since = time.monotonic()
    stop.set()
    thread.join()
    assert time.monotonic() - since < 5
    assert outcomes[0].result is Result.STOPPED
    assert (project.root / "cleaned").exists()
    until(lambda: not any(_lives(int(pid)) for pid in pids.read_text().split()))


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_stage_that_another_process_is_running_is_waited_for(project: Project) -> None:
    slow = {"stages": {"slow": {"cmd": "touch begun; sleep 3; echo done > slow", "outs": ["slow"]}}}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(slow))
    other = threading.Thread(target=lambda: project.run("dvc", "repro", "-q"))
    other.start()
    until((project.root / "begun").exists)
    outcome = run_stage("slow", log_file(project.root / "logs", "slow"), threading.Event())
    other.join()
    assert outcome.result is Result.UNCHANGED


def test_a_log_is_named_after_its_stage() -> None:
    assert log_file(Path("logs"), "each@a") == Path("logs/each@a.log")
    assert log_file(Path("logs"), "../sub/dvc.yaml:each@a") == Path("logs/..-sub-dvc.yaml-each@a.log")
