"""A file at any address that fsspec opens: http(s), s3, gs, ssh, …"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from stages import checksum
from stages.corpus.readers import Batches, Request, file_format, read
from stages.errors import StageError
from stages.params import UrlSource


def fetch(source: UrlSource, scratch: Path) -> dict[str, Batches]:
    """The file's rows, as the split `train`.

    Raises:
        StageError: the address cannot be opened, or the file's hash is another.
    """
    name = PurePosixPath(urlsplit(source.url).path).name
    file_format(name)
    local = scratch / name
    _copy(source, local)
    return {"train": read(local, Request(source.columns, source.sample_by))}


def _copy(source: UrlSource, target: Path) -> None:
    import fsspec

    try:
        with fsspec.open(source.url, "rb") as stream:
            checksum.copy(cast(BinaryIO, stream), target, source.sha256, source.url)
    except StageError:
        raise
    except ImportError as error:
        raise StageError(f"{source.url} needs a package that is not installed: {error}") from None
    except Exception as error:  # every file system of fsspec has its own
        raise StageError(
            f"{source.url} could not be fetched ({type(error).__name__}: {error}): check the address and the network"
        ) from None
