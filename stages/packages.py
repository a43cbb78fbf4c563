"""Packages of the package index as archives of files: fetched by pip, read, never installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from stages.errors import StageError


def fetch(package: str, version: str, folder: Path) -> Path:
    """Let pip choose and fetch the package's wheel or sdist into `folder`, and return its path.

    Raises:
        StageError: pip fails.
    """
    requirement = f"{package}=={version}"
    options = ["--no-deps", "--no-input", "--prefer-binary", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(_explain(requirement, done.stderr))
    return next(path for path in folder.iterdir())


def _explain(requirement: str, stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"this Python has no pip to fetch {requirement} with: run `python -m ensurepip`"
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else "pip gave no reason"
    return (
        f"pip could not fetch {requirement} ({reason}): check the package's name and version, "
        f"and that the package index can be reached (`pip config list` shows which it is)"
    )


def members(archive: Path, folder: str) -> list[str]:
    """The names of the files right in a folder of the archive, sorted.

    Raises:
        StageError: there are none.
    """
    names = sorted(name for name in _names(archive) if name.rpartition("/")[0] == folder.rstrip("/"))
    if not names:
        raise _missing(folder, list(_names(archive)), archive)
    return names


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[BinaryIO]:
    """Open one file of a wheel (zip) or an sdist (tar), whose own top folder is not part of the name.

    Raises:
        StageError: the archive has no such file.
    """
    names = _names(archive)
    if member not in names:
        raise _missing(member, list(names), archive)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as stream:
            yield cast(BinaryIO, stream)
    else:
        with tarfile.open(archive) as sdist:
            yield cast(BinaryIO, sdist.extractfile(names[member]))


def _names(archive: Path) -> dict[str, str]:
    """Names of files as they are asked for, and as the archive has them."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return {name: name for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as sdist:
        return {member.name.partition("/")[2]: member.name for member in sdist.getmembers() if member.isfile()}


def _missing(member: str, names: list[str], archive: Path) -> StageError:
    folder = member.rpartition("/")[0]
    near = [name for name in names if name.startswith(folder)] or names
    return StageError(f"{archive.name} has no member {member}; it has {', '.join(sorted(near)[:8])}")
