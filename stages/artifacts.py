"""Reading and writing files so that they are whole, the same every time, and hashed as DVC does.

Writers are atomic: an output appears complete under its name or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.errors import StageError

CHUNK = 1 << 20


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; put it in `path`'s place on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    retired = path.with_name(f".{path.name}.{os.getpid()}.retired")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(retired)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def _flush(path: Path) -> None:
    """Force a file's bytes to disk, so that the rename never precedes them."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON with sorted keys; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        StageError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} is missing: run `dvc repro` to make it") from None
    except ValueError as error:
        raise StageError(f"{path} is not valid JSON ({error}): remove it and run `dvc repro`") from None


def md5(path: Path) -> str:
    """The hash of a file or folder exactly as `dvc.lock` records it.

    A folder's is that of the JSON listing of its files, with ``.dir`` appended.

    Raises:
        StageError: there is nothing at `path`.
    """
    if not path.exists():
        raise StageError(f"{path} is missing: run `dvc repro` to make it")
    return _folder_md5(path) if path.is_dir() else _file_md5(path)


def _file_md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _folder_md5(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = [{"md5": _file_md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    listing.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
