"""Which version of each source, and of each checkpoint that pre-training starts from, there is now.

DVC fetches a source again when its entry in `params.yaml` changes, not when the source does. Pinned by what it holds
now, both are the same, and the parameters of a run tell which version it had.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from stages import artifacts
from stages.corpus.sources.hub import named
from stages.errors import StageError
from stages.params import FileCheckpoint, FileSource, HubSource, Params, Source, UrlSource

WEIGHTS = "model.safetensors"


def pins(settings: Params, root: Path) -> Iterator[tuple[str, str]]:
    """Parameters that pin all that a run reads from outside, by their dotted keys; packages of an index never change.

    Args:
        root: what relative paths of the parameters start from.

    Raises:
        StageError: something is not there, or cannot be pinned.
    """
    for name in settings.data.sources:
        try:
            yield from ((f"sources.{name}.{key}", value) for key, value in _pins(settings.sources[name], root))
        except StageError as error:
            raise StageError(f"source {name}: {error}") from None
    for objective in settings.pretrain.objectives:
        start = str(settings.objectives[objective].get("start"))
        if isinstance(checkpoint := settings.checkpoints.get(start), FileCheckpoint):
            weights = _placed(root, checkpoint.path) / WEIGHTS
            if not weights.is_file():
                raise StageError(f"checkpoints.{start}: {weights} is missing: run `dvc repro`, or correct `path`")
            yield f"checkpoints.{start}.sha256", _sha256(weights.open("rb"))


def _pins(source: Source, root: Path) -> Iterator[tuple[str, str]]:
    if isinstance(source, FileSource):
        path = _placed(root, named(source.path))
        if path.is_dir():
            raise StageError(f"{source.path} is a folder, which has no sha256: name it as `id` of `kind: hub`")
        if not path.is_file():
            raise StageError(f"{source.path} does not exist: correct `path`")
        yield "sha256", _sha256(path.open("rb"))
    elif isinstance(source, UrlSource):
        yield "sha256", _sha256(_opened(source.url))
    elif isinstance(source, HubSource):
        yield "revision", _revision(source, root)


def _revision(source: HubSource, root: Path) -> str:
    """The commit on the hub; of a local folder the hash of what it holds, which tells one state from another."""
    identifier = named(source.id)
    if (folder := _placed(root, identifier)).is_dir():
        return artifacts.md5(folder)
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(identifier, revision=source.revision).sha)
    except Exception as error:  # the hub's client raises those of many libraries
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise StageError(f"the hub does not tell the version of {identifier} ({reason})") from None


def _placed(root: Path, path: str) -> Path:
    """Without ``..``, for the folder that it starts from may not be there yet."""
    return Path(os.path.normpath(root / Path(path).expanduser()))


def _opened(url: str) -> IO[bytes]:
    import fsspec

    try:
        return cast(IO[bytes], fsspec.open(url, "rb").open())
    except Exception as error:  # every file system of fsspec has its own
        raise StageError(f"{url} could not be read ({type(error).__name__}: {error})") from None


def _sha256(stream: IO[bytes]) -> str:
    with stream:
        digest = hashlib.sha256()
        while chunk := stream.read(artifacts.CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
