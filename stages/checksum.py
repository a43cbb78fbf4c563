"""Copying bytes while hashing them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from stages.artifacts import CHUNK
from stages.errors import StageError


def copy(stream: BinaryIO, target: Path, expected: str | None, name: str) -> None:
    """Write a stream to `target`, and compare its sha256 with the expected one, if there is one.

    Raises:
        StageError: the hashes differ.
    """
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    _compare(digest.hexdigest(), expected, name)


def check(path: Path, expected: str | None, name: str) -> None:
    """Compare a file's sha256 with the expected one, if there is one.

    Raises:
        StageError: the hashes differ.
    """
    if expected is not None:
        with path.open("rb") as file:
            _compare(hashlib.file_digest(file, "sha256").hexdigest(), expected, name)


def _compare(found: str, expected: str | None, name: str) -> None:
    if expected is not None and found != expected:
        raise StageError(
            f"{name} has sha256 {found}, not the expected {expected}: "
            f"it was changed at its origin; look at it, and correct `sha256` in params.yaml if it is meant"
        )
