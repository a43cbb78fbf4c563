"""The flow's own Prefect server goes with the flow, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from stages import paths

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FLOW = """
import time
from flows import server

with server.starting() as started:
    server.wait(started)
    print(started.pid, flush=True)
    time.sleep(600)
"""


def test_it_ends_with_a_flow_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), "PREFECT_HOME": str(tmp_path)}
    environment.pop("PREFECT_API_URL", None)
    flow = subprocess.Popen([sys.executable, "-c", FLOW], env=environment, stdout=subprocess.PIPE, text=True)
    server = psutil.Process(int(flow.stdout.readline()))  # type: ignore[union-attr]
    assert server.is_running()
    flow.kill()
    flow.wait()
    psutil.wait_procs([server], timeout=30)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
