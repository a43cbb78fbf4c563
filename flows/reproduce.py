"""One stage made by DVC in this process, which is the stage's own; `graph`, `exchange`, `ledger` import dvc as well.

The same as ``dvc repro --single-item``, whose start, the reading of the whole graph, is done once for all stages
(`flows.nursery`). Two things are done otherwise. DVC hashes dependencies after the command, so that what was edited
meanwhile would pass for what was used: here they are hashed before, must still be the same after, and if they are not,
nothing is recorded. And `dvc.lock` is not parsed and written anew for each stage, which with hundreds of them takes
longer than the stages: one entry is replaced, and the file is whole at every moment.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Never

from dvc.exceptions import DvcException
from dvc.lock import LockBase, LockError
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage
from dvc.stage import run as command
from dvc.stage.exceptions import StageCmdFailedError
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml

from flows import ledger
from flows.limits import Limits
from flows.result import Result
from stages import artifacts

HEADER = "schema: '2.0'\nstages:\n"

ANCHOR = re.compile(r"(?P<before>(?::|-) )(?P<mark>[&*])(?P<name>id\d{3,})(?=\s)")
"""An anchor or an alias, where a value begins; a text that begins so is quoted."""

KILLED = re.compile(r"exited with (-9|-15|137|143)$")
"""A command that SIGKILL or SIGTERM has ended: the signal's number, or what the shell makes of it."""

Stages = dict[str, PipelineStage]

ledger.keep_whole()  # here, for whatever has DVC touch its list, plans and exchanges too, imports this


class EditedError(DvcException):
    """What a stage stands on was edited while it ran."""


class AbsentError(DvcException):
    """A stage would have to run that must not run here."""


def load(root: Path) -> Stages:
    """All stages of the project, by name."""
    repo = Repo(str(root), _wait_for_lock=True)
    stages = {stage.addressing: stage for stage in repo.index.stages}
    repo._reset()
    return stages


def reproduce(stage: PipelineStage, limits: Limits, descriptors: Sequence[int]) -> Result:
    """Make `stage` if it is out of date; `descriptors` are passed on to its command. What went wrong is printed."""
    if not isinstance(stage.repo.lock, Turn):
        stage.repo.lock = Turn(stage.repo.lock, Path(stage.repo.tmp_dir) / "flow-turn.lock")
    guarded = Command(limits, descriptors)
    try:
        with lock_repo(stage.repo), stage.repo.scm_context(quiet=True):
            made = stage.reproduce(interactive=False)
            if made:
                record(stage)
    except LockError as error:
        print(f"ERROR: {error}", flush=True)
        return Result.BUSY
    except AbsentError:
        return Result.ABSENT
    except (DvcException, OSError) as error:
        print(f"ERROR: {limits.exceeded or error}", flush=True)
        return Result.LOST if _is_infrastructure(error) and not limits.exceeded else Result.FAILED
    if guarded.ran:
        return Result.RAN
    return Result.RESTORED if made and not stage.frozen else Result.UNCHANGED


def restore(stage: PipelineStage) -> Result:
    """The same from what this machine has alone: `ABSENT` if the command would have to run. Once for a loaded stage."""

    def refuse(*_: object, **__: object) -> Never:
        raise AbsentError("it would have to run")

    before, command.cmd_run = command.cmd_run, refuse
    try:
        return reproduce(stage, Limits(None, None), ())
    finally:
        command.cmd_run = before


def record(stage: PipelineStage) -> None:
    """Put the stage's entry into `dvc.lock`, in the place of an earlier one or at the end."""
    lockfile = stage.dvcfile._lockfile
    path = Path(lockfile.path)
    text = path.read_text(encoding="utf-8") if path.exists() else HEADER
    if not text.startswith(HEADER) or "\ndatasets:" in text:
        stage.dump(update_pipeline=False)
        return
    entry = dumps_yaml({"stages": to_lockfile(stage)}).removeprefix("stages:\n")
    name = entry[: entry.index("\n") + 1]
    old = re.search(rf"^{re.escape(name)}(?:(?:   .*)?\n)*", text, re.MULTILINE)
    written = numbered(text[: old.start()] + entry + text[old.end() :] if old else text + entry)
    if written != text:
        with artifacts.atomic_file(path) as temporary:
            temporary.write_text(written, encoding="utf-8")
        stage.repo.scm_context.track_file(lockfile.relpath)


def numbered(text: str) -> str:
    """A lock file's anchors, which are each entry's own, named as DVC does when it writes all entries at once.

    YAML writes values that an entry holds twice, as parameters that params.yaml repeats by an alias, once. Names count
    in the order in which values are repeated for the first time.
    """
    found = list(ANCHOR.finditer(text))
    places, latest = dict[int, int](), dict[str, int]()  # of each name the place of the anchor that it means
    for place, one in enumerate(found):
        if one["mark"] == "&":
            latest[one["name"]] = place
        places[place] = latest.get(one["name"], place)
    repeated = dict.fromkeys(places[place] for place, one in enumerate(found) if one["mark"] == "*")
    names = {place: f"id{number:03d}" for number, place in enumerate(repeated, start=1)}
    rest = iter(names.get(places[place], one["name"]) for place, one in enumerate(found))
    return ANCHOR.sub(lambda one: f"{one['before']}{one['mark']}{next(rest)}", text)


class Command:
    """DVC's way to run a command, with the leases passed on, limits, and a look at the dependencies after it."""

    def __init__(self, limits: Limits, descriptors: Sequence[int]) -> None:
        self.ran = False
        self._limits, self._descriptors = limits, tuple(descriptors)
        self._run, self._prepare = command.cmd_run, command.prepare_kwargs
        command.cmd_run, command.prepare_kwargs = self.run, self.prepare

    def run(self, stage: PipelineStage, dry: bool = False, run_env: dict[str, str] | None = None) -> None:
        """Run the command of `stage`, whose dependencies DVC has just hashed to look for it in the run-cache.

        Raises:
            EditedError: they were edited meanwhile.
        """
        self.ran = True
        with self._limits:
            self._run(stage, dry=dry, run_env=run_env)
        if edited := sorted(path for entry in stage.deps for path in changes(entry)):
            raise EditedError(
                f"edited while the stage ran, so that it is not recorded: {', '.join(edited)}; run it again"
            )

    def prepare(self, stage: PipelineStage, run_env: dict[str, str] | None = None) -> dict[str, Any]:
        """What DVC gives to `subprocess.Popen`, and the leases: what still computes still holds them."""
        return {**self._prepare(stage, run_env), "pass_fds": self._descriptors}


class Turn(LockBase):
    """DVC's lock behind a queue: whoever finds it taken would look again only after half a second."""

    def __init__(self, lock: LockBase, file: Path) -> None:
        super().__init__(str(file))
        self._inner = lock
        self._file: int | None = None

    def lock(self) -> None:
        """Wait for our turn among the stages of flows, then for all other DVC commands."""
        self._file = os.open(self._lockfile, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._inner.lock()

    def unlock(self) -> None:
        """Let the next one in."""
        self._inner.unlock()
        if self._file is not None:
            os.close(self._file)
        self._file = None

    @property
    def is_locked(self) -> bool:
        """Whether DVC's own lock is held."""
        return bool(self._inner.is_locked)

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


def changes(entry: Any) -> dict[str, str]:
    """Files and parameters of a dependency or output that are not as recorded: ``{"data/raw": "modified"}``."""
    flat: dict[str, str] = {}
    for path, state in entry.status().items():
        flat |= state if isinstance(state, dict) else {path: state}
    return flat


def _is_infrastructure(error: BaseException) -> bool:
    """Whether the machine is to blame: the command was killed, a disk or a network failed."""
    if isinstance(error, StageCmdFailedError):
        return bool(KILLED.search(str(error)))
    return isinstance(error, OSError)
