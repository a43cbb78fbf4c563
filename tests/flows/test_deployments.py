"""prefect.yaml: a worker of a process pool runs the flow, the schedule is there, and containers ask for GPUs."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docker.types import HostConfig
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.base import BaseJobConfiguration

from stages import paths
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Docker(BaseJobConfiguration):
    """What the Docker worker reads of a rendered template, of what is used here."""

    image: str
    volumes: list[str]
    container_create_kwargs: dict[str, Any]


class Kubernetes(BaseJobConfiguration):
    """The same of the Kubernetes worker."""

    job_manifest: dict[str, Any]


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


def test_deployments_and_pools_fit_and_a_worker_runs_the_flow(project: Project, prefect_server: str) -> None:
    """The server checks what containers are asked for against the pools' templates."""
    project.environment["PREFECT_API_URL"] = prefect_server
    for name in ("flows", "stages"):
        (project.root / name).symlink_to(paths.ROOT / name)
    shutil.copyfile(paths.ROOT / "prefect.yaml", project.root / "prefect.yaml")
    prefect(project, "work-pool", "create", "local", "--type", "process")
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="stages", type="process"), overwrite=True)
        for kind in ("docker", "kubernetes"):
            client.create_work_pool(WorkPoolCreate(name=f"stages-{kind}", type=kind, base_job_template=template(kind)))
        prefect(project, "deploy", "--all")
        kubernetes, docker = rendered(client, Kubernetes), rendered(client, Docker)
    container = kubernetes.job_manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"memory": "24Gi", "nvidia.com/gpu": 1}
    assert (container["image"], container["env"]) == ("pretraining-objectives", {"CLONE": "/project"})
    requests = docker.container_create_kwargs["device_requests"]
    assert HostConfig("1.41", device_requests=requests)["DeviceRequests"][0]["Count"] == 1
    assert "0 2 * * *" in prefect(project, "deployment", "inspect", "reproduce/nightly")
    prefect(project, "deployment", "run", "reproduce/on-demand", "--param", 'targets=["left"]')
    output = prefect(project, "worker", "start", "--pool", "local", "--run-once")
    assert project.executed() == ["top", "left"], output


def template(kind: str) -> dict[str, Any]:
    return dict(json.loads((paths.ROOT / "flows" / "pools" / f"{kind}.json").read_text()))


def rendered(client: SyncPrefectClient, kind: type[Any]) -> Any:
    """As a worker does it; `from_template_and_values` looks for blocks on the server."""
    name = kind.__name__.lower()
    variables = client.read_deployment_by_name(f"stage/{name}").job_variables
    return asyncio.run(kind.from_template_and_values(template(name), variables))
