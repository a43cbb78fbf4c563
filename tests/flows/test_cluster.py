"""Stages on other machines: two workers in clones with caches of their own, a folder as remote, a Prefect server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import Log, WorkerStatus
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import processes
from flows.errand import BATCH
from stages import paths
from tests.flows.conftest import Project, new_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

POOL = "stages"

BIN = Path(sys.executable).parent


def made(*needs: str, name: str, **also: object) -> dict[str, object]:
    """A stage that writes the file of its name."""
    return {"cmd": f"python work.py {' '.join((name, *needs))}", "deps": ["work.py", *needs], "outs": [name], **also}


GRAPH = {
    "stages": {
        "top": made(name="top", params=["rate"]),
        "each": made("top", name="each/${item.x}", matrix={"x": ["a", "b"]}),
        "score": made("each/a", "each/b", name="score", outs=[{"score": {"cache": False}}]),
        "last": made("score", name="last"),
        "loud": {"cmd": "python work.py loud", "deps": ["work.py"]},
        "slow": made(name="slow"),
        "endless": made(name="endless"),
        "bad": made(name="bad"),
        "after": made("bad", name="after"),
    }
}
"""`top` and `each` can be made elsewhere; `score` is kept by git, `last` reads it, and `loud` has no output."""

WORK = """
import os, pathlib, sys, time

name, *needs = sys.argv[1:]
with open(os.environ["EXECUTED"], "a") as file:
    print(name, os.getpid(), file=file)
print("working on", name, flush=True)
pathlib.Path(name).parent.mkdir(exist_ok=True)
begun = pathlib.Path(os.environ["BEGUN"])
if name == "each/a" or name == "each/b":  # neither ends before both have begun, so that no worker can make both
    pathlib.Path(f"{begun}-{name[-1]}").touch()
    limit = time.monotonic() + 120
    while not all(pathlib.Path(f"{begun}-{one}").exists() for one in "ab"):
        if time.monotonic() > limit:
            sys.exit("the other never began")
        time.sleep(0.1)
if name == "bad":
    sys.exit("broken on purpose")
if name == "endless" or name == "slow" and not begun.exists():
    begun.write_text(str(os.getpid()))
    time.sleep(600)
text = "".join(pathlib.Path(need).read_text() for need in needs)
pathlib.Path(name).write_text(text + pathlib.Path("params.yaml").read_text() * (name == "top") + name)
"""

IMPATIENT = "from flows import errand, __main__ as flows; errand.SILENCE = 20; flows.command.run(flows.main)"


@dataclass
class Cluster:
    """A driver, and its workers."""

    driver: Project
    workers: list[Project]
    processes: list[subprocess.Popen[bytes]]

    def start(self, *targets: str) -> subprocess.Popen[str]:
        """Start a flow that gives a worker up soon."""
        command = [sys.executable, "-c", IMPATIENT, "run", "--pool", POOL, *targets]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.driver.root, env=self.driver.environment, **streams)  # type: ignore[call-overload, no-any-return]

    @property
    def begun(self) -> Path:
        """Holds the pid of the stage that blocks."""
        return Path(self.driver.environment["BEGUN"])


def executed(project: Project) -> list[str]:
    """The stages whose commands ran there."""
    file = Path(project.environment["EXECUTED"])
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


def run(project: Project, *command: str) -> None:
    done = subprocess.run(command, cwd=project.root, env=project.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    """Asks the server what became of runs."""
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as asking:
        yield asking


@pytest.fixture(scope="module")
def cluster(
    client: SyncPrefectClient, prefect_server: str, prefect_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A committed project with a remote, and two clones with workers."""
    folder = tmp_path_factory.mktemp("cluster")
    driver = new_project(folder / "driver", prefect_home)
    (driver.root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    (driver.root / "work.py").write_text(WORK)
    (driver.root / "params.yaml").write_text("rate: 1\n")
    (driver.root / ".gitignore").write_text("/top\n/each\n/last\n/slow\n/endless\n/bad\n/after\n/.state\n")
    for name in ("flows", "stages", "prefect.yaml"):
        (driver.root / name).symlink_to(paths.ROOT / name)
    with (driver.root / ".dvc" / "config").open("a") as config:
        config.write(f"    remote = shared\n['remote \"shared\"']\n    url = {folder / 'remote'}\n")
    driver.environment |= {"PREFECT_API_URL": prefect_server, "BEGUN": str(folder / "begun")}
    driver.environment["EXECUTED"] = str(folder / "driver.executed")
    run(driver, "git", "add", ".")
    run(driver, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "all")
    cluster = Cluster(driver, [], [])
    for number in range(2):
        join(cluster, f"worker-{number}")
    try:
        until(lambda: len(alive(client)) == 2)
        deploy(client)
        yield cluster
    finally:
        for process in cluster.processes:
            process.terminate()
        for process in cluster.processes:
            process.wait(timeout=60)


def join(cluster: Cluster, name: str) -> None:
    """Start a worker in a clone."""
    root = cluster.driver.root.parent / name
    run(cluster.driver, "git", "clone", "--quiet", str(cluster.driver.root), str(root))
    own = {"CLONE": str(root), "EXECUTED": f"{root}.executed", "PREFECT_WORKER_QUERY_SECONDS": "1"}
    worker = Project(root, cluster.driver.environment | own)
    command = [BIN / "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", name, "--limit", "1"]
    with Path(f"{root}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=root, env=worker.environment, stdout=log, stderr=log)
    cluster.workers.append(worker)
    cluster.processes.append(process)


def deploy(client: SyncPrefectClient) -> None:
    """As `prefect deploy --name process` does, which tests/flows/test_deployments.py runs, in fewer seconds."""
    deployments = yaml.safe_load((paths.ROOT / "prefect.yaml").read_text())["deployments"]
    process = next(deployment for deployment in deployments if deployment["name"] == "process")
    client.create_deployment(
        client.create_flow_from_name("stage"),
        "process",
        entrypoint=process["entrypoint"],
        pull_steps=process["pull"],
        work_pool_name=process["work_pool"]["name"],
        parameter_openapi_schema={},
        enforce_parameter_schema=False,
    )


def alive(client: SyncPrefectClient) -> list[str]:
    with suppress(PrefectHTTPStatusError):  # the first worker makes the pool
        workers = client.read_workers_for_work_pool(POOL)
        return [worker.name for worker in workers if worker.status is WorkerStatus.ONLINE]
    return []


def state(client: SyncPrefectClient, name: str) -> str:
    """The last run's of a stage."""
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    return str(max(found, key=lambda item: item.created).state_name)  # type: ignore[arg-type, return-value]


def logged(client: SyncPrefectClient) -> set[str]:
    """The lines that Prefect has of all runs, those of other tests that asked this server among them."""
    logs: list[Log] = []
    while more := client.read_logs(limit=BATCH, offset=len(logs)):
        logs += more
    return {line for log in logs for line in log.message.splitlines()}


def test_workers_make_what_can_be_made_elsewhere(cluster: Cluster, client: SyncPrefectClient) -> None:
    """The result is a serial run's, byte for byte, and all that stages print can be read in Prefect."""
    driver = cluster.driver
    serial = driver.copy(driver.root.parent / "serial")
    serial.environment = driver.environment | {"EXECUTED": f"{serial.root}.executed"}
    flow = driver.run("flows", "run", "last", "loud", "--pool", POOL, "--workers", "3")
    assert flow.returncode == 0, flow.stdout + flow.stderr
    assert sorted(executed(driver)) == ["last", "loud", "score"]
    each = [{name for name in executed(worker) if name != "top"} for worker in cluster.workers]
    assert sorted(each, key=sorted) == [{"each/a"}, {"each/b"}]
    assert sorted(executed(cluster.workers[0]) + executed(cluster.workers[1])) == ["each/a", "each/b", "top"]
    assert "top  ran on a worker" in flow.stdout
    assert "working on top" in (driver.root / ".state" / "logs" / "top.log").read_text()

    serial.run("dvc", "repro", "-q", "last", "loud").check_returncode()
    assert driver.lock == serial.lock
    assert driver.run("dvc", "status", "--quiet", "last", "loud").returncode == 0
    assert (driver.root / "last").read_bytes() == (serial.root / "last").read_bytes()
    wanted = {f"working on {name}" for name in ("top", "each/a", "each/b", "loud")}
    until(lambda: wanted <= logged(client))  # workers send what was printed in the background


def test_ctrl_c_ends_what_workers_do(cluster: Cluster, client: SyncPrefectClient) -> None:
    flow = cluster.start("endless")
    until(cluster.begun.exists)
    flow.send_signal(signal.SIGINT)
    output, errors = flow.communicate(timeout=60)
    assert (flow.returncode, errors.strip()) == (130, "interrupted"), output + errors
    pid = int(cluster.begun.read_text())
    until(lambda: state(client, "endless") == "Cancelled")
    until(lambda: not processes.is_alive(pid))
    cluster.begun.unlink()


def test_a_worker_that_dies_and_a_stage_that_fails(cluster: Cluster, client: SyncPrefectClient) -> None:
    """Another worker makes what the dead one had; a stage's own error is shown, and stops only what stands on it."""
    flow = cluster.start("slow", "after")
    until(cluster.begun.exists)
    doomed = next(
        process
        for process in cluster.processes
        if int(cluster.begun.read_text())
        in (child.pid for child in psutil.Process(process.pid).children(recursive=True))
    )
    for process in [*psutil.Process(doomed.pid).children(recursive=True), psutil.Process(doomed.pid)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    output, errors = flow.communicate(timeout=200)
    assert flow.returncode == 1, output + errors
    assert "slow  ran on a worker" in output
    assert "broken on purpose" in output
    assert "not run, as what they need failed: after" in output
    assert errors == "error: 1 of 3 stages failed: bad\n"
    ran = [executed(worker) for worker in cluster.workers]
    assert sorted(names.count("slow") for names in ran) == [1, 1]
    assert sum(names.count("bad") for names in ran) == 1
    assert {"slow", "bad", "after"}.isdisjoint(executed(cluster.driver))
    assert cluster.driver.run("dvc", "status", "--quiet", "slow").returncode == 0
