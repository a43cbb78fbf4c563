"""One stage as a child: how it ends, and that nothing of it is left when it is stopped."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from flows import processes
from flows.nursery import Job, Nursery
from flows.result import Outcome, Result
from flows.run_stage import TRIES, Runner, log_file
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


class Stages:
    """Runs stages of a project, each as a job of a nursery."""

    def __init__(self, root: Path) -> None:
        self.nursery = Nursery(root)
        self.stop = threading.Event()
        self._root = root

    def run(self, stage: str, **limits: float) -> Outcome:
        log = log_file(self._root / "logs", stage)
        job = Job(stage, str(log), {"CUDA_VISIBLE_DEVICES": "3"}, **limits)  # type: ignore[arg-type]
        return Runner(self.nursery, self.stop).run(job, [])


@pytest.fixture
def stages(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    monkeypatch.setattr(os, "environ", os.environ | project.environment)
    stages = Stages(project.root)
    yield stages
    stages.nursery.close()


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def only(project: Project, command: str, **more: object) -> None:
    """Make the project one of a single stage, ``one``."""
    stage = {"cmd": command, "deps": ["work.py"], "outs": ["one"], **more}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": stage}}))


def test_every_way_a_stage_can_end(project: Project, stages: Stages) -> None:
    assert stages.run("top").result is Result.RAN
    again = Stages(project.root)  # a nursery has read `dvc.lock` when it started, as a flow does
    assert again.run("top").result is Result.UNCHANGED
    (project.root / "top").unlink()
    assert again.run("top").result is Result.RESTORED
    assert project.executed() == ["top"]
    assert again.run("alone").result is Result.RAN
    assert again.run("still").result is Result.UNCHANGED  # frozen
    (project.root / "work.py").write_text("print('hello'); raise SystemExit('broken on purpose')")
    outcome = again.run("top")
    again.nursery.close()
    assert outcome.result is Result.FAILED
    assert "broken on purpose" in outcome.detail
    assert outcome.log.read_text().count("hello") == 1  # its own error: not tried again


def test_a_stage_is_recorded_as_dvc_does(project: Project, stages: Stages) -> None:
    """A first entry, one behind others, and one in the place of an earlier one; each byte by byte."""
    serial = project.copy(project.root.parent / "serial")
    for names in (["top"], ["right", "each@a", "each@b", "alone", "still"], ["top"]):
        for name in names:
            assert stages.run(name).succeeded
            serial.run("dvc", "repro", "-q", "--single-item", name).check_returncode()
        assert project.lock == serial.lock
        for changed in (project, serial):
            (changed.root / "params.yaml").write_text("size: 2\n")
    assert "size: 2" in project.lock.decode()


def test_a_stage_has_the_python_that_runs_the_flow(
    project: Project, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its environment is not activated; its threads do not spin; and it sees the GPU that it was given."""
    monkeypatch.setitem(os.environ, "PATH", "/usr/bin:/bin")
    monkeypatch.setitem(os.environ, "GOMP_SPINCOUNT", "10000")
    seen = "sys.prefix, os.environ['GOMP_SPINCOUNT'], os.environ['CUDA_VISIBLE_DEVICES']"
    script = f"import os, pathlib, sys; pathlib.Path('top').write_text(' '.join([{seen}]))"
    (project.root / "work.py").write_text(script)
    assert stages.run("top").result is Result.RAN
    assert (project.root / "top").read_text() == f"{sys.prefix} 0 3"


def test_a_stopped_stage_cleans_up_and_leaves_no_process(project: Project, stages: Stages) -> None:
    (project.root / "work.py").write_text(FAMILY)
    pids, outcomes = project.root / "pids", []
    thread = threading.Thread(target=lambda: outcomes.append(stages.run("top")))
    thread.start()
    until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    since = time.monotonic()
    stages.stop.set()
    thread.join()
    assert time.monotonic() - since < 5
    assert outcomes[0].result is Result.STOPPED
    assert (project.root / "cleaned").exists()
    until(lambda: not any(processes.is_alive(int(pid)) for pid in pids.read_text().split()))


def test_a_stage_that_another_process_is_running_is_waited_for(project: Project, stages: Stages) -> None:
    only(project, "touch begun; sleep 3; echo done > one")
    other = threading.Thread(target=lambda: project.run("dvc", "repro", "-q"))
    other.start()
    until((project.root / "begun").exists)
    (project.root / "begun").unlink()
    outcome = stages.run("one")
    other.join()
    assert outcome.result is Result.UNCHANGED
    assert not (project.root / "begun").exists()


@pytest.mark.parametrize(("edited", "name"), [("data", "data"), ("folder/code.py", "folder"), ("params.yaml", "rate")])
def test_what_was_edited_while_a_stage_ran_keeps_it_from_being_recorded(
    project: Project, stages: Stages, edited: str, name: str
) -> None:
    """Neither in `dvc.lock` nor in the run-cache: with the edit or without it, the stage has to run again."""
    (project.root / "folder").mkdir()
    for file in ("data", "folder/code.py"):
        (project.root / file).write_text("before")
    (project.root / "params.yaml").write_text(
        "rate: 1"
    )  # not `size`: DVC leaves a key of that name out of its run-cache
    before = (project.root / edited).read_text()
    edit = "rate: 7" if edited == "params.yaml" else "after"
    only(project, f"cat data > one; echo '{edit}' > {edited}", deps=["data", "folder"], params=["rate"])
    outcome = stages.run("one")
    assert outcome.result is Result.FAILED
    assert f"so that it is not recorded: {name}; run it again" in outcome.detail
    assert not (project.root / "dvc.lock").exists()
    only(project, "cat data > one", deps=["data", "folder"], params=["rate"])
    for text in (before, edit):
        (project.root / edited).write_text(text)
        fresh = Stages(project.root)
        assert fresh.run("one").result is Result.RAN
        fresh.nursery.close()


def test_what_a_stage_does_to_its_own_output_is_no_edit(project: Project, stages: Stages) -> None:
    only(project, "cat work.py > one; touch work.py")
    assert stages.run("one").result is Result.RAN


def test_a_stage_that_is_killed_is_tried_again_but_not_for_ever(project: Project, stages: Stages) -> None:
    only(project, "echo try >> tries; test $(wc -l < tries) -ge 3 || kill -9 $$; cp tries one")
    assert stages.run("one").result is Result.RAN
    assert (project.root / "one").read_text() == "try\n" * TRIES
    (project.root / "tries").unlink()
    only(project, "echo try >> tries; kill -9 $$")
    fresh = Stages(project.root)
    assert fresh.run("one").result is Result.FAILED
    fresh.nursery.close()
    assert (project.root / "tries").read_text() == "try\n" * TRIES


@pytest.mark.parametrize("victim", ["stage", "nursery"])
def test_whatever_is_killed_the_stage_is_made_once(project: Project, stages: Stages, victim: str) -> None:
    """DVC's process: its command is ended and run anew. The nursery: the stage goes on and is only waited for."""
    wait = "test $(wc -l < tries) -gt 1 || sleep 100" if victim == "stage" else "sleep 2"
    only(project, f"echo $$ > pid; echo try >> tries; {wait}; cp tries one")
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(stages.run("one")))
    thread.start()
    until(lambda: (project.root / "pid").exists() and (project.root / "pid").read_text().strip() != "")
    command = psutil.Process(int((project.root / "pid").read_text()))
    stage = command.parent()
    assert stage is not None
    nursery = stage.parent()
    assert nursery is not None
    (stage if victim == "stage" else nursery).kill()
    if victim == "stage":
        until(lambda: not processes.is_alive(command.pid))
    thread.join()
    assert outcomes[0].succeeded
    assert (project.root / "one").read_text() == ("try\ntry\n" if victim == "stage" else "try\n")
    assert project.run("dvc", "status", "--quiet").returncode == 0


def test_what_still_computes_still_holds_its_devices(project: Project, stages: Stages) -> None:
    """The command, too: all that stands above it may be killed."""
    only(project, "echo $$ > pid; sleep 100; touch one")
    descriptor = os.open(project.root / "device.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    child = stages.nursery.start(Job("one", str(project.root / "log"), {}), [descriptor])
    os.close(descriptor)
    until(lambda: (project.root / "pid").exists() and (project.root / "pid").read_text().strip() != "")
    command, stage = psutil.Process(int((project.root / "pid").read_text())), psutil.Process(child.pid)
    nursery = stage.parent()
    assert nursery is not None
    for process in (nursery, stage):
        process.kill()
    until(lambda: child.poll() is Result.LOST)
    assert processes.is_alive(command.pid)
    assert _is_locked(project.root / "device.lock")
    processes.end(command.pid)
    until(lambda: not _is_locked(project.root / "device.lock"))


def _is_locked(file: Path) -> bool:
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_time_and_memory_are_limited(project: Project, stages: Stages) -> None:
    """With a reason, and it is not tried again."""
    only(project, "echo $$ > pid; echo try >> tries; sleep 600")
    outcome = stages.run("one", seconds=1.0)
    assert outcome.result is Result.FAILED
    assert "it took longer than the 0.0166667 minutes that it may take: see `resources`" in outcome.detail
    assert outcome.seconds < 10
    assert not processes.is_alive(int((project.root / "pid").read_text()))
    (project.root / "work.py").write_text("import time; held = b'x' * 300_000_000; time.sleep(20)")
    only(project, "python work.py")
    fresh = Stages(project.root)
    assert "0.2 GB of memory" in fresh.run("one", memory=200_000_000).detail
    (project.root / "work.py").write_text("import time; held = b'x' * 300_000_000; time.sleep(1); open('one', 'w')")
    assert fresh.run("one", memory=600_000_000, seconds=60.0).result is Result.RAN
    fresh.nursery.close()
    assert (project.root / "tries").read_text() == "try\n"


def test_a_log_is_named_after_its_stage() -> None:
    assert log_file(Path("logs"), "each@a") == Path("logs/each@a.log")
    assert log_file(Path("logs"), "../sub/dvc.yaml:each@a") == Path("logs/..-sub-dvc.yaml-each@a.log")
