"""What keeps flows from running well on this machine: each finding with its mend."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from flows import graph, resources
from flows.devices import Devices
from stages.errors import StageError
from stages.tracking import store

CLASHES = (
    ("prefect<3.9", "fastapi>=0.155", "prefect 3.8 starts no flow with it: install fastapi<0.151"),
    ("dvc<3.67", "", "flows/reproduce.py was written against dvc 3.67: install that of requirements.lock"),
    ("dvc>=3.68", "", "flows/reproduce.py was written against dvc 3.67: run tests/flows, or install the locked one"),
)
"""A package, another one that it does not bear (or none), and what follows."""

FREE = 5e9
"""Bytes of disk below which it is said that there is little room."""

HIDDEN = {"size", "nfiles"}
"""Names that DVC leaves out of the keys of its run-cache, wherever they stand, also where they are parameters."""

TIMEOUT = 5


@dataclass(frozen=True)
class Finding:
    """What is not as it should be.

    Attributes:
        subject: where.
        problem: what.
        mend: what to do.
    """

    subject: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}\n    {self.mend}"


def examine(root: Path) -> Iterator[Finding]:
    """All findings of the project in `root`."""
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        versions, repository, remote, parameters, tracking, machine, server, disk
    )  # fmt: skip
    for check in checks:
        yield from check(root)


def versions(root: Path) -> Iterator[Finding]:
    """Packages that clash, and those that are not as locked."""
    for package, other, mend in CLASHES:
        if _installed(package) and (not other or _installed(other)):
            yield Finding("versions", f"{package}{' with ' * bool(other)}{other}", mend)
    lock = root / "requirements.lock"
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE) if lock.exists() else []
    if strays := [name for name, version in pins if _version(name) not in ("", version)]:
        yield Finding("versions", f"not as in {lock.name}: {', '.join(strays)}", "run make install")


def repository(root: Path) -> Iterator[Finding]:
    """What git and DVC cannot do without."""
    if not _git(root, "rev-parse", "HEAD"):
        yield Finding("git", "there is no commit", "commit: lineage and workspaces are named by commits")
    for name in ("dvc.yaml", "dvc.lock"):
        if (root / name).exists() and not _git(root, "ls-files", name):
            yield Finding("git", f"{name} is not tracked", f"git add {name}")
    if (root / ".state" / "lock-order.json").exists():
        yield Finding("dvc", "a flow was killed before it settled dvc.lock", "run it again: python -m flows run")
    lock = root / "dvc.lock"
    try:
        yaml.safe_load(lock.read_text(encoding="utf-8") if lock.exists() else "")
    except yaml.YAMLError:
        yield Finding("dvc", "dvc.lock is not valid YAML", "git checkout dvc.lock, and run the flow again")


def remote(root: Path) -> Iterator[Finding]:
    """A remote that is a folder must be there; without one nothing leaves this machine."""
    try:
        remotes = graph.remotes(root)
    except StageError as error:
        yield Finding("dvc", str(error), "git init, if the project has lost its repository; else mend .dvc/config")
        return
    for name, address in remotes.items():
        if "://" not in address and not Path(address).is_dir():
            yield Finding("remote", f"{name}: there is no folder {address}", "make it, or dvc remote modify it")


def parameters(root: Path) -> Iterator[Finding]:
    """`resources`, and names that DVC's run-cache does not see."""
    try:
        resources.load(root)
    except StageError as error:
        yield Finding("parameters", str(error), "mend it there")
    file = root / "params.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    for key in _keys(content):
        if key.split(".")[-1] in HIDDEN:
            mend = "name it otherwise: DVC leaves that name out, and restores what another value of it has made"
            yield Finding("parameters", f"params.yaml: {key}", mend)


def tracking(_: Path) -> Iterator[Finding]:
    """The MLflow store, if it is a file: whole, and writable."""
    database = store.file()
    if database is None or not database.exists():
        return
    if not os.access(database, os.W_OK):
        yield Finding("mlflow", f"{database} cannot be written", f"chmod u+w {database}")
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            answer = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        yield Finding("mlflow", f"{database}: {answer}", "move it away; runs are recorded anew, results are in DVC")


def machine(root: Path) -> Iterator[Finding]:
    """GPUs that are there and that nothing asks for, or fewer than something asks for."""
    found = Devices.found(workers=1)
    try:
        wanted = max((needs.gpus for needs in resources.load(root).values()), default=0)
    except StageError:
        return
    if found.gpus and not wanted:
        yield Finding("devices", f"{found.gpus} GPUs, and no stage asks for one", "resources in params.yaml: gpus: 1")
    if wanted > max(1, found.gpus):
        problem = f"a stage asks for {wanted} GPUs, and would train on {found.gpus}, which gives other numbers"
        yield Finding("devices", problem, f"a machine with {wanted}, or fewer in params.yaml: resources")
    if found.gpus and not shutil.which("nvidia-smi"):
        yield Finding("devices", "CUDA_VISIBLE_DEVICES is set where there is no driver", "unset CUDA_VISIBLE_DEVICES")


def server(_: Path) -> Iterator[Finding]:
    """The Prefect server that `PREFECT_API_URL` names."""
    if not (address := os.environ.get("PREFECT_API_URL")):
        return
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=TIMEOUT):
            return
    except (urllib.error.URLError, OSError, ValueError):
        yield Finding("prefect", f"nothing answers at {address}", "prefect server start, or unset PREFECT_API_URL")


def disk(root: Path) -> Iterator[Finding]:
    """Room for outputs and the cache."""
    if (free := shutil.disk_usage(root).free) < FREE:
        yield Finding("disk", f"{free / 1e9:.1f} GB are free", "dvc gc --workspace removes what no stage has")


def _keys(content: object, prefix: str = "") -> Iterator[str]:
    """All keys of nested mappings, written with dots."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield f"{prefix}{key}"
            yield from _keys(value, f"{prefix}{key}.")


def _installed(text: str) -> bool:
    """Whether a package is there in one of the versions that ``name<version`` means."""
    wanted = Requirement(text)
    version = _version(wanted.name)
    return bool(version) and Version(version) in wanted.specifier


def _version(name: str) -> str:
    try:
        return Version(metadata.version(name)).public  # torch's has the kind of its build behind a plus
    except metadata.PackageNotFoundError:
        return ""


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False).stdout
