"""A local file, or a folder of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stages import checksum, paths
from stages.corpus.readers import Batches, Request, file_format, read
from stages.errors import StageError
from stages.params import FileSource

SHARD = re.compile(r"-\d{5}-of-\d{5}$")
"""The hub's suffix of a split that is stored in several files."""

VARIABLE = re.compile(r"\$(\w+)")
"""Of the environment, in a path that is another on each machine."""


def fetch(source: FileSource, scratch: Path) -> dict[str, Batches]:
    """A file's rows as the split `train`; a folder's files as splits of their names.

    Raises:
        StageError: nothing is there, or its hash is another.
    """
    path = paths.ROOT / Path(os.path.expandvars(source.path)).expanduser()
    request = Request(source.columns, source.sample_by)
    if path.is_dir():
        if source.sha256:
            raise StageError("sha256 is of a single file, but path is a folder: remove sha256")
        return {split: chain(files, request) for split, files in split_files(path).items()}
    if not path.is_file():
        unset = [name for name in VARIABLE.findall(source.path) if name not in os.environ]
        remedy = f"set the environment variable {unset[0]}" if unset else "correct `path` in params.yaml"
        raise StageError(f"{source.path} does not exist: {remedy}")
    checksum.check(path, source.sha256, source.path)
    return {"train": read(path, request)}


def split_files(folder: Path) -> dict[str, list[Path]]:
    """The files of each split: `test.csv`, or `test-00000-of-00002.parquet` and its sisters.

    Raises:
        StageError: the folder holds no file.
    """
    splits: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            stem = path.name[: path.name.lower().rindex(file_format(path.name))]
            splits.setdefault(SHARD.sub("", stem), []).append(path)
    if not splits:
        raise StageError(f"{folder} holds no files")
    return splits


def chain(files: list[Path], request: Request) -> Batches:
    """The rows of a split's files, one after the other."""
    for path in files:
        yield from read(path, request)
