"""A workspace of its own for a second set of parameters: a git worktree that shares DVC's cache and the MLflow store.

It lies in ``.state/workspaces/<name>`` and runs the commit that is checked out. Its parameters are those of
`params.yaml` with what ``flows/<name>.yaml`` says instead. What comes of it is published in ``reports/<name>``: the
report, its figures and tables, and the ``params.yaml`` and ``dvc.lock`` that made them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from flows import commit, processes
from stages import artifacts, params, paths
from stages.errors import StageError
from stages.tracking import store

PARAMS, LOCK = "params.yaml", "dvc.lock"

PATIENCE = 10
"""Seconds that a flow has to end its stages; five are enough."""

PUBLISHED = (
    "index.html",
    "report.md",
    "results.csv",
    "figures",
    "tables",
    "speed.csv",
    "speed.md",
    "speed.svg",
    "pareto.svg",
)


@dataclass(frozen=True)
class Workspace:
    """Where a second set of parameters is run and published.

    Attributes:
        name: of the set.
    """

    name: str

    @property
    def root(self) -> Path:
        """The worktree."""
        return paths.STATE / "workspaces" / self.name

    @property
    def reports(self) -> Path:
        """Where its results go."""
        return paths.REPORTS / self.name

    def prepare(self, settings: Sequence[str] = ()) -> None:
        """Bring the worktree to the present commit and its own parameters; what it has made stays.

        Args:
            settings: further parameters as ``key.of.params=value``, the value in YAML.

        Raises:
            StageError: there are no such parameters, or they are wrong; or git cannot make the worktree.
        """
        self.bring(self.parameters(settings))

    def bring(self, parameters: bytes) -> None:
        """Bring the worktree to the present commit and these parameters; what it has made stays.

        Raises:
            StageError: git cannot make the worktree.
        """
        lock = self._lock()
        commit.check_out(paths.ROOT, self.root, commit.git(paths.ROOT, "rev-parse", "HEAD"))
        (self.root / LOCK).unlink(missing_ok=True)  # that of the commit belongs to other parameters
        if lock:
            self._write(LOCK, lock)
        self.set(parameters)
        self._share_cache()

    def set(self, parameters: bytes) -> None:
        """Give the worktree other parameters."""
        self._write(PARAMS, parameters)

    def _write(self, name: str, content: bytes) -> None:
        with artifacts.atomic_file(self.root / name) as temporary:
            temporary.write_bytes(content)

    def parameters(self, settings: Sequence[str] = ()) -> bytes:
        """The file's content, checked."""
        file = paths.ROOT / "flows" / f"{self.name}.yaml"
        if not file.is_file():
            raise StageError(f"flows/{file.name} is missing: it holds the parameters that differ")
        content = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
        for changes in (yaml.safe_load(file.read_text(encoding="utf-8")), *map(_setting, settings)):
            content = _merged(content, changes)
        params.parse(params.Params, content, f"flows/{file.name}")
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()

    def _lock(self) -> bytes:
        """What was run here last, or else what was published; empty if nothing was."""
        for file in (self.root / LOCK, self.reports / LOCK):
            if file.is_file():
                return file.read_bytes()
        return b""

    def _share_cache(self) -> None:
        cache = paths.ROOT / ".dvc" / "cache"
        with artifacts.atomic_file(self.root / ".dvc" / "config.local") as temporary:
            temporary.write_text(f"[cache]\n    dir = {cache}\n", encoding="utf-8")

    def run(self, workers: int, environment: dict[str, str], targets: Sequence[str] = ()) -> None:
        """Reproduce `targets`, or everything, in the worktree, ``workers`` stages at a time.

        Raises:
            StageError: a stage failed.
        """
        flow = self.start(workers, environment, targets)
        try:
            flow.wait()
        finally:
            end(flow)
        if flow.returncode:
            raise StageError(f"{self.name}: the flow failed; the stages' logs are in {self.root / '.state' / 'logs'}")

    def start(
        self,
        workers: int,
        environment: dict[str, str],
        targets: Sequence[str] = (),
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a flow for that, in a session of its own: Ctrl-C does not reach it, and who starts it has to `end` it.

        Args:
            output: where it prints to; where this process does by default.
        """
        return subprocess.Popen(
            [sys.executable, "-m", "flows", "run", *targets, "--workers", str(workers)],
            cwd=self.root,
            env={"MLFLOW_TRACKING_URI": store.uri(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )

    def publish(self) -> None:
        """Put the report, the parameters and the lock file of the worktree into ``reports/<name>``."""
        with artifacts.atomic_folder(self.reports) as temporary:
            for name in PUBLISHED:
                made = self.root / "reports" / name
                if made.is_dir():
                    shutil.copytree(made, temporary / name)
                else:
                    shutil.copyfile(made, temporary / name)
            for name in (PARAMS, LOCK):
                shutil.copyfile(self.root / name, temporary / name)


def end(flow: subprocess.Popen[bytes]) -> None:
    """End a flow and all that it runs. By SIGTERM: what a shell has put in the background may ignore SIGINT."""
    if flow.poll() is None:
        flow.terminate()
        try:
            flow.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            processes.end(flow.pid)
            flow.wait()


def _setting(text: str) -> dict[str, Any]:
    """``a.b=1`` as ``{a: {b: 1}}``."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise StageError(f"--set-param {text}: it must be key=value")
    changes = yaml.safe_load(value)
    for part in reversed(key.split(".")):
        changes = {part: changes}
    return changes


def _merged(content: Any, changes: Any) -> Any:
    """Mappings key by key, and whatever else is there replaced."""
    if not (isinstance(content, dict) and isinstance(changes, dict)):
        return changes
    return content | {key: _merged(content.get(key), value) for key, value in changes.items()}
