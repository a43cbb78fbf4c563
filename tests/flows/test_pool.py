"""Whatever keeps workers from making stages is said before anything starts, with its mend."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import __main__, commit
from flows.pool import Pool
from stages.errors import StageError
from tests.flows.conftest import Project

SECTION = "    remote = shared\n['remote \"shared\"']\n    url = ../../remote\n"


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as asking:
        yield asking


@pytest.fixture
def committed(project: Project) -> Project:
    """The project with a remote, all of it in a commit."""
    with (project.root / ".dvc" / "config").open("a") as config:
        config.write(SECTION)
    for arguments in (["add", "."], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=project.root, check=True)
    return project


def test_a_pool_needs_a_server_that_its_workers_ask(committed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(StageError, match="--pool far: PREFECT_API_URL must name the server"):
        __main__.main(["run", "--pool", "far"])


def test_what_is_missing_is_named_with_its_mend(committed: Project, client: SyncPrefectClient) -> None:
    def refused(reason: str) -> None:
        with pytest.raises(StageError, match=f"--pool far: {reason}"):
            Pool.found("far", committed.root)

    refused("there is no such pool: prefect work-pool create far --type process")
    client.create_work_pool(WorkPoolCreate(name="far", type="process", is_paused=True))
    refused("it is paused: prefect work-pool resume far")
    client.update_work_pool("far", WorkPoolUpdate(is_paused=False))
    refused("it has no live worker; start one in a clone .*: CLONE=.PWD prefect worker start --pool far")
    client.send_worker_heartbeat("far", "a worker", heartbeat_interval_seconds=30)
    refused("no deployment sends stages there: prefect deploy --name process --pool far")
    flow = client.create_flow_from_name("stage")
    made = client.create_deployment(flow, "process", work_pool_name="far", entrypoint="flows/remote.py:stage")
    pool = Pool.found("far", committed.root)
    assert (pool.deployment, pool.commit) == (made, commit.git(committed.root, "rev-parse", "HEAD"))
    assert pool.is_alive(client)

    config = committed.root / ".dvc" / "config"
    config.write_text(config.read_text().removesuffix(SECTION))
    refused("DVC has no remote to pass outputs by: dvc remote add --default NAME ADDRESS")
