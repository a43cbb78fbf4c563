"""A Prefect work pool whose workers, on other machines, make stages: whether it is there, and fit for this project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound

from flows import commit, graph
from stages.errors import StageError

FLOW = "stage"
"""The name of the workers' flow (`flows.remote`)."""


@dataclass(frozen=True)
class Pool:
    """A work pool that was found fit.

    Attributes:
        name: of the pool.
        root: the DVC project here.
        deployment: the one that sends runs of `FLOW` to the pool.
        commit: what its workers are to check out.
    """

    name: str
    root: Path
    deployment: UUID
    commit: str

    @classmethod
    def found(cls, name: str, root: Path) -> Pool:
        """The pool of that name.

        Raises:
            StageError: its workers cannot make stages of this project, with the reason.
        """
        if not graph.shares_outputs(root):
            raise StageError(
                f"--pool {name}: DVC has no remote to pass outputs by: dvc remote add --default NAME ADDRESS"
            )
        revision = commit.present(root)
        with get_client(sync_client=True) as client:
            _look_for(client, name)
            return cls(name, root, _deployment(client, name), revision)

    def is_alive(self, client: SyncPrefectClient) -> bool:
        """Whether a worker of it is at work; that one was killed the server knows after one to two minutes."""
        return _is_alive(client, self.name)


def _look_for(client: SyncPrefectClient, name: str) -> None:
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        raise StageError(
            f"--pool {name}: there is no such pool: prefect work-pool create {name} --type process"
        ) from None
    if pool.is_paused:
        raise StageError(f"--pool {name}: it is paused: prefect work-pool resume {name}")
    if not _is_alive(client, name):
        raise StageError(f"--pool {name}: {help_to_start(name)}")


def help_to_start(name: str) -> str:
    """What to do about a pool without workers."""
    return (
        "it has no live worker; start one in a clone on the machine that is to work: "
        f"CLONE=$PWD prefect worker start --pool {name}"
    )


def _is_alive(client: SyncPrefectClient, name: str) -> bool:
    return any(worker.status is WorkerStatus.ONLINE for worker in client.read_workers_for_work_pool(name))


def _deployment(client: SyncPrefectClient, name: str) -> UUID:
    found = client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[name])),
    )
    if not found:
        raise StageError(
            f"--pool {name}: no deployment sends stages there: prefect deploy --name process --pool {name}"
        )
    return found[0].id
