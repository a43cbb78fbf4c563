"""A stage between two machines that share a DVC remote, without Prefect: offered, served, fetched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import yaml

from flows import exchange, remote
from flows.nursery import Job, Nursery, Work
from flows.result import Outcome, Result
from flows.run_stage import Runner, log_file
from stages.errors import StageError
from tests.flows.conftest import Project, new_project

GRAPH = {
    "stages": {
        "make": {
            "matrix": {"x": ["a", "b"]},
            "cmd": "mkdir -p made && echo ${item.x} > made/${item.x} && cat added >> made/${item.x}",
            "deps": ["added"],
            "outs": ["made/${item.x}"],
        },
        "count": {
            "cmd": "ls made > count && cat rate.yaml >> count && echo ran >> ran",
            "deps": ["made"],
            "params": [{"rate.yaml": ["rate"]}],
            "outs": ["count"],
        },
    }
}
"""`count` reads a folder that two stages write, which read what was added to DVC."""


class Machine:
    """One side, with a nursery of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.nursery = root, Nursery(root)

    def do(self, work: Work, stage: str = "count", *, again: bool = True) -> Outcome:
        log = log_file(self.root / ".state" / "logs", stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        return Runner(self.nursery, Event()).run(Job(stage, str(log), {}, again=again, work=work), [])

    @property
    def ran(self) -> bool:
        """Whether the command of `count` ran here."""
        return (self.root / "ran").exists()


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, prefect_home: Path) -> Project:
    """Committed are the graph and what was added; what `count` needs is made."""
    project = new_project(tmp_path_factory.mktemp("exchange") / "project", prefect_home)
    root = project.root
    (root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    (root / "rate.yaml").write_text("rate: 1\n")
    (root / "added").write_text("added\n")
    (root / ".gitignore").write_text("/made\n/count\n/added\n/.state\n/ran\n")
    with (root / ".dvc" / "config").open("a") as config:
        config.write("    remote = shared\n['remote \"shared\"']\n    url = ../../remote\n")
    project.run("dvc", "add", "-q", "added").check_returncode()
    for command in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    project.run("dvc", "repro", "-q", "make").check_returncode()
    return project


@pytest.fixture
def here(committed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Where `count` is wanted."""
    for name in ("PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, committed.environment[name])
    machine = Machine(committed.copy(tmp_path / "here").root)
    yield machine
    machine.nursery.close()


@pytest.fixture
def there(here: Machine) -> Iterator[Machine]:
    """A worker's worktree beside a clone with a cache of its own; the remote is a path relative to a clone."""
    clone = here.root.parent / "there"
    subprocess.run(["git", "clone", "-q", str(here.root), str(clone)], check=True)
    (clone / ".dvc" / "config.local").write_text("[core]\n    checksum_jobs = 1\n")
    worktree = clone / ".state" / "workspaces" / "stage-0"
    assert here.do(Work.OFFER).result is Result.ABSENT
    remote.prepare(clone, worktree, "count", commit(here.root), offered(here))
    machine = Machine(worktree)
    yield machine
    machine.nursery.close()


def commit(root: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def offered(here: Machine) -> dict[str, object]:
    return dict(json.loads(exchange.paper(here.root, "count").read_text()))


def test_a_stage_is_made_there_and_restored_here(here: Machine, there: Machine) -> None:
    """And what the remote has or what stands already is not offered again."""
    assert there.do(Work.SERVE).result is Result.RAN
    assert here.do(Work.FETCH).result is Result.RESTORED
    assert (there.ran, here.ran) == (True, False)
    assert (here.root / "count").read_text() == "a\nb\nrate: 1\n"
    assert Project(here.root, dict(os.environ)).run("dvc", "status", "--quiet").returncode == 0
    assert here.do(Work.OFFER).result is Result.UNCHANGED
    shutil.rmtree(here.root / ".dvc" / "cache")
    (here.root / "count").unlink()
    assert here.do(Work.OFFER).result is Result.RESTORED
    assert not here.ran


def test_what_was_edited_meanwhile_is_not_recorded(here: Machine, there: Machine) -> None:
    there.do(Work.SERVE)
    (here.root / "rate.yaml").write_text("rate: 2\n")
    assert here.do(Work.FETCH).result is Result.ABSENT
    assert "count:" not in (here.root / "dvc.lock").read_text()
    assert not here.ran


def test_other_inputs_than_were_offered_are_refused(here: Machine) -> None:
    """A file here that no stage has made, and that git does not keep, is not there."""
    (here.root / "made" / "stray").write_text("x")
    assert here.do(Work.OFFER).result is Result.ABSENT
    worktree = here.root / ".state" / "workspaces" / "stage-0"
    remote.prepare(here.root, worktree, "count", commit(here.root), offered(here))
    there = Machine(worktree)
    outcome = there.do(Work.SERVE)
    there.nursery.close()
    assert outcome.result is Result.FAILED
    assert "other here than where the stage was offered: made;" in outcome.detail
    assert not there.ran


def test_a_worktree_holds_the_commit_and_inputs_alone(here: Machine, there: Machine) -> None:
    """And what is set for the clone's machine alone; a second stage there finds nothing of the first."""
    assert "checksum_jobs = 1" in (there.root / ".dvc" / "config.local").read_text()
    there.do(Work.SERVE)
    (there.root / "made" / "stale").write_text("x")
    clone = there.root.parents[2]
    remote.prepare(clone, there.root, "count", commit(here.root), offered(here))
    assert not (there.root / "count").exists()
    assert not (there.root / "made" / "stale").exists()
    assert (there.root / "made" / "a").exists()


def test_a_commit_that_the_origin_lacks_is_named(here: Machine, there: Machine) -> None:
    clone = there.root.parents[2]
    with pytest.raises(StageError, match=r"commit 1234567 is not in .*there and not in its origin: git push it there"):
        remote.prepare(clone, there.root, "count", "1234567", offered(here))


def test_two_runs_on_a_machine_have_a_worktree_each(tmp_path: Path) -> None:
    with remote.slot(tmp_path) as (first, _):
        with remote.slot(tmp_path) as (second, _):
            assert (first.name, second.name) == ("stage-0", "stage-1")
        with remote.slot(tmp_path) as (again, _):
            assert again == second
