"""prefect.yaml: a worker of a process pool runs the flow, and the schedule is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages import paths
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def prefect(project: Project, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *arguments]
    environment = {**project.environment, "PREFECT_LOGGING_LEVEL": "INFO", "PROJECT_ROOT": str(project.root)}
    done = subprocess.run(
        command,
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_a_worker_runs_a_deployment(project: Project, prefect_server: str) -> None:
    project.environment["PREFECT_API_URL"] = prefect_server
    for name in ("flows", "stages"):
        (project.root / name).symlink_to(paths.ROOT / name)
    shutil.copyfile(paths.ROOT / "prefect.yaml", project.root / "prefect.yaml")
    prefect(project, "work-pool", "create", "local", "--type", "process")
    prefect(project, "deploy", "--all")
    assert "0 2 * * *" in prefect(project, "deployment", "inspect", "reproduce/nightly")
    prefect(project, "deployment", "run", "reproduce/on-demand", "--param", 'targets=["left"]')
    output = prefect(project, "worker", "start", "--pool", "local", "--run-once")
    assert project.executed() == ["top", "left"], output
