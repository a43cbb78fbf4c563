"""One command in several processes: how they start, fail and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stages import paths
from stages.training import launch
from tests.training import launched


def start(what: str, folder: Path, processes: str = "2") -> subprocess.Popen[str]:
    """The command, whose errors are kept."""
    environment = {**os.environ, launch.PROCESSES: processes}
    command = [sys.executable, "-m", launched.__name__, what, str(folder)]
    return subprocess.Popen(command, cwd=paths.ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def wait(until: Callable[[], bool], seconds: float = 60) -> None:
    """Look until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.05)


def pids(folder: Path) -> list[int]:
    """Of those that have started."""
    return [int(text.split()[0]) for path in folder.iterdir() if (text := path.read_text())]


def test_each_process_knows_whether_it_is_the_first(tmp_path: Path) -> None:
    """One reports, the other follows; the command ends well, and leaves nothing in the folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (folder := tmp_path / "ranks").mkdir()
    environment = {**os.environ, launch.PROCESSES: "2", "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", launched.__name__, "end", str(folder)]
    assert not subprocess.run(command, cwd=paths.ROOT, env=environment, check=False).returncode
    assert {path.name: path.read_text().split()[1] for path in folder.iterdir()} == {"0": "False", "1": "True"}
    assert not list(temporary.iterdir())


def test_one_process_is_the_command_itself(tmp_path: Path) -> None:
    process = start("end", tmp_path, "1")
    assert not process.wait()
    assert (tmp_path / "0").read_text() == f"{process.pid} False"


def test_an_error_is_the_commands(tmp_path: Path) -> None:
    """The exit code of a `StageError`, and its line, once."""
    process = start("refuse", tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors == "error: there is nothing to train\n"


def test_one_that_is_killed_ends_all(tmp_path: Path) -> None:
    """And the command says so."""
    process = start("die", tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "error: process 1 of 2 was killed by signal 9"
    assert not any(map(psutil.pid_exists, pids(tmp_path)))


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    process = start("wait", tmp_path)
    wait(lambda: len(pids(tmp_path)) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert not any(map(psutil.pid_exists, pids(tmp_path)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_none_outlives_the_one_that_started_them(tmp_path: Path) -> None:
    """For that one holds the lease on their GPUs."""
    process = start("wait", tmp_path)
    wait(lambda: len(pids(tmp_path)) == 2)
    process.kill()
    process.wait()
    wait(lambda: not any(map(psutil.pid_exists, pids(tmp_path))))


@pytest.mark.parametrize("processes", ["0", "two", "-1", ""])
def test_a_bad_number_is_refused(processes: str, tmp_path: Path) -> None:
    process = start("end", tmp_path, processes)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith(f"error: {launch.PROCESSES}={processes}: ")
