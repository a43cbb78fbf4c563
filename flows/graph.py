"""What DVC knows: stages, what they need, what is out of date and why, the lock file.

With `reproduce`, `exchange` and `ledger`, the only importers of dvc.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config, merge
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update

from flows import reproduce
from flows.exchange import overlap
from stages import artifacts
from stages.errors import StageError

GRAPH, LOCK, ORDER = "dvc.yaml", "dvc.lock", ".state/lock-order.json"

WORDS = {"modified": "changed", "new": "is new", "deleted": "is missing", "not in cache": "is not in the cache"}
"""What DVC says of a file or parameter, so that it can stand in a sentence."""

ROOM = 40
"""Characters that a reason has for the values of a parameter."""


@dataclass(frozen=True)
class Stage:
    """A stage that may have to run.

    Attributes:
        name: as DVC addresses it; a stage of a matrix holds an ``@``.
        needs: the stages that must have ended before, of those that may have to run.
        reasons: what is not as `dvc.lock` has it; empty if it stands only on stages that have to run.
        portable: whether another machine can make it, and this one restore that: all that it writes, and all that it
            reads of other stages, is in DVC's cache.
    """

    name: str
    needs: frozenset[str]
    reasons: tuple[str, ...] = ()
    portable: bool = False


@dataclass(frozen=True)
class Described:
    """A stage as `dvc.yaml` describes it.

    Attributes:
        name: as DVC addresses it.
        needs: the stages that must have ended before.
        params: keys of `params.yaml` that it reads.
        outs: the files and folders that it makes, from the project's root.
    """

    name: str
    needs: frozenset[str]
    params: frozenset[str]
    outs: frozenset[str]


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
        steps = plan_repro(active, _stages(repo, targets))
        needs = {step.addressing: {need.addressing for need in active.successors(step)} for step in steps}
        root = Path(repo.root_dir)
        recorded = set(_locked_stages(root))
        reasons = {step.addressing: tuple(_reasons(step, recorded)) for step in steps}
        uncached = [out.fs_path for step in repo.index.stages for out in step.outs if not out.use_cache]
        portable = {step.addressing for step in steps if _is_portable(step, uncached)}
    stale = {name for name, found in reasons.items() if found}
    for name, needed in needs.items():
        if needed & stale:
            stale.add(name)
    stages = tuple(
        Stage(name, frozenset(needs[name] & stale), reasons[name], name in portable) for name in needs if name in stale
    )
    return Plan(root, stages, tuple(dict.fromkeys([*(_unsettled_order(root) or _locked_stages(root)), *needs])))


def described(project: Path, targets: Sequence[str]) -> tuple[Described, ...]:
    """`targets` and all that they need, up to date or not, in the order of a serial `dvc repro`.

    Raises:
        StageError: not a DVC project, an unknown target, or a broken `dvc.yaml`.
    """
    try:
        with chdir(project), Repo() as repo:  # DVC names stages as they are addressed from the current directory
            active = get_active_graph(repo.index.graph)
            return tuple(
                Described(
                    step.addressing,
                    frozenset(need.addressing for need in active.successors(step)),
                    frozenset(key for dep in step.deps if isinstance(dep, ParamsDependency) for key in dep.params),
                    frozenset(Path(out.fs_path).relative_to(repo.root_dir).as_posix() for out in step.outs),
                )
                for step in plan_repro(active, _stages(repo, targets))
            )
    except DvcException as error:
        raise StageError(f"DVC: {error}") from None


def note_order(plan: Plan) -> None:
    """Keep the order for the next run, in case that this one is killed before it can settle `dvc.lock`."""
    artifacts.write_json(plan.root / ORDER, plan.order)


def root() -> Path:
    """The DVC project around the current directory.

    Raises:
        StageError: there is none.
    """
    try:
        return Path(Repo.find_root())
    except DvcException as error:
        raise StageError(f"DVC: {error}") from None


def remotes(root: Path) -> dict[str, str]:
    """DVC's remotes and their addresses.

    Raises:
        StageError: DVC cannot open the project.
    """
    try:
        with Repo(str(root)) as repo:
            return {name: str(settings["url"]) for name, settings in repo.config["remote"].items()}
    except DvcException as error:
        raise StageError(f"DVC: {error}") from None


def shares_outputs(root: Path) -> bool:
    """Whether DVC has a remote that is used unless another one is named.

    Raises:
        StageError: DVC cannot open the project.
    """
    try:
        with Repo(str(root)) as repo:
            return bool(repo.config["core"].get("remote"))
    except DvcException as error:
        raise StageError(f"DVC: {error}") from None


def files(root: Path) -> tuple[set[str], set[str]]:
    """What all stages read, and what they write, as paths within the project."""
    with Repo(str(root)) as repo:
        read, written = (
            {repo.fs.relpath(entry.fs_path, str(root)) for stage in repo.index.stages for entry in entries(stage)}
            for entries in (lambda stage: stage.deps, lambda stage: stage.outs)
        )
    return read, written


def share(root: Path, worktree: Path) -> None:
    """Let the DVC of a worktree have what that of the project in `root` has: its cache, what is set for this machine
    alone, and the remotes of the worktree's commit where they are relative paths.
    """
    with Repo(str(root)) as repo:
        settings = repo.config.read("local")
        settings["cache"].setdefault("dir", repo.cache.legacy.path)
    committed = Config.load_file(str(worktree / ".dvc" / "config"))
    (worktree / ".dvc" / "config.local").unlink(missing_ok=True)
    with Config(str(worktree / ".dvc")).edit("local") as local:
        local["remote"] = Config._load_paths(committed, str(root / ".dvc" / "config"))["remote"]
        merge(local, settings)


def settle_lock(plan: Plan) -> None:
    """Put `dvc.lock` into the order of a serial run: stages that run at once append to it as they end."""
    with _project():
        written = _locked_stages(plan.root)
        ordered = [name for name in plan.order if name in written]
        if written != ordered:
            _write_in_order(plan.root / LOCK, ordered)
    (plan.root / ORDER).unlink(missing_ok=True)


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


def _stages(repo: Repo, targets: Sequence[str]) -> list[Any]:
    """What `targets` name; DVC reads the whole graph anew for what is no stage's name, as a file or a group."""
    stages = {stage.addressing: stage for stage in repo.index.stages}
    if not targets:
        return [stage for stage in stages.values() if stage.path_in_repo == GRAPH]
    if set(targets) <= set(stages):
        return [stages[target] for target in targets]
    return list(collect_stages(repo, targets))


def _reasons(step: Any, recorded: set[str]) -> Iterator[str]:
    """What `step.changed()` would find, all of it; a frozen stage is not asked about what it needs."""
    if not step.frozen and (step.is_callback or step.always_changed):
        yield "it always runs"
    if not (step.frozen or step.addressing in recorded):
        yield "it never ran"
        return
    if step.changed_stage():
        yield "its command changed"
    for entry in [*(() if step.frozen else step.deps), *step.outs]:
        for path, state in reproduce.changes(entry).items():
            yield f"{path} {WORDS.get(state, state)}{_values(entry, path)}"


def _is_portable(step: Any, uncached: Sequence[str]) -> bool:
    """Whether DVC's run-cache knows such a stage (`dvc.stage.cache`), and a remote all of its inputs and outputs."""
    if step.frozen or step.is_callback or step.always_changed or not (step.cmd and step.deps and step.outs):
        return False
    local = all(entry.protocol == "local" and entry.is_in_repo for entry in [*step.deps, *step.outs])
    cached = all(out.use_cache and not out.persist for out in step.outs)
    return local and cached and not any(overlap(path, dep.fs_path) for path in uncached for dep in step.deps)


def _values(entry: Any, key: str) -> str:
    """A parameter's recorded and present value, if a line has room for them."""
    if not isinstance(entry, ParamsDependency):
        return ""
    before, now = (entry.hash_info.value or {}).get(key), entry.read_params().get(key)
    text = f" ({before} -> {now})"
    return text if len(text) < ROOM else ""


def _write_in_order(path: Path, names: Sequence[str]) -> None:
    content = parse_yaml_for_update(path.read_text(encoding="utf-8"), path)
    for name in names:
        content["stages"][name] = content["stages"].pop(name)
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(dumps_yaml(content), encoding="utf-8")


def _unsettled_order(root: Path) -> list[str]:
    """What a run that was killed has noted; empty after one that has settled `dvc.lock`."""
    path = root / ORDER
    return list(artifacts.read_json(path)) if path.exists() else []


def _locked_stages(root: Path) -> list[str]:
    path = root / LOCK
    return list(load_yaml(path).get("stages", {})) if path.exists() else []
