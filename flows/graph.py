"""What DVC knows: stages, what they need, what is out of date, the lock file. The only importer of dvc."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update

from stages import artifacts
from stages.errors import StageError

GRAPH, LOCK = "dvc.yaml", "dvc.lock"


@dataclass(frozen=True)
class Stage:
    """A stage that may have to run.

    Attributes:
        name: as DVC addresses it; a stage of a matrix holds an ``@``.
        needs: the stages that must have ended before, of those that may have to run.
    """

    name: str
    needs: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """What to reproduce.

    Attributes:
        root: the DVC project.
        stages: what is out of date and all that stands on it, in the order of a serial `dvc repro`.
        order: the order in which a serial `dvc repro` would leave the stages in `dvc.lock`.
    """

    root: Path
    stages: tuple[Stage, ...]
    order: tuple[str, ...]


def plan(targets: Sequence[str] = ()) -> Plan:
    """Ask DVC what reproducing `targets` (all stages if empty) would have to look at.

    A stage whose dependency will run is in the plan, for its inputs may change; DVC decides when its
    turn comes, and skips it if the dependency gives the same bytes.

    Raises:
        StageError: not a DVC project, an unknown target, a broken `dvc.yaml`, or a project in use by
            another DVC command.
    """
    with _project() as repo:
        active = get_active_graph(repo.index.graph)
        steps = plan_repro(active, collect_stages(repo, targets or [GRAPH]))
        needs = {step.addressing: {need.addressing for need in active.successors(step)} for step in steps}
        stale = {step.addressing for step in steps if step.changed()}
        root = Path(repo.root_dir)
    for name, needed in needs.items():
        if needed & stale:
            stale.add(name)
    stages = tuple(Stage(name, frozenset(needs[name] & stale)) for name in needs if name in stale)
    return Plan(root, stages, tuple(dict.fromkeys([*_locked_stages(root), *needs])))


def settle_lock(plan: Plan) -> None:
    """Put `dvc.lock` into the order of a serial run: stages that run at once append to it as they end."""
    with _project():
        written = _locked_stages(plan.root)
        ordered = [name for name in plan.order if name in written]
        if written == ordered:
            return
        path = plan.root / LOCK
        content = parse_yaml_for_update(path.read_text(encoding="utf-8"), path)
        for name in ordered:
            content["stages"][name] = content["stages"].pop(name)
        with artifacts.atomic_file(path) as temporary:
            temporary.write_text(dumps_yaml(content), encoding="utf-8")


@contextmanager
def _project() -> Iterator[Repo]:
    """The DVC project around the current directory, locked against other DVC commands."""
    try:
        with Repo() as repo, repo.lock:
            yield repo
    except LockError:
        raise StageError("another DVC command is at work in this project: wait until it has ended") from None
    except DvcException as error:
        raise StageError(f"DVC: {error}") from None


def _locked_stages(root: Path) -> list[str]:
    path = root / LOCK
    return list(load_yaml(path).get("stages", {})) if path.exists() else []
