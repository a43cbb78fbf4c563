"""A method that does not fit what an objective makes."""

from __future__ import annotations

from pathlib import Path

from stages.artifacts import atomic_folder, write_json
from stages.record import FILE, INAPPLICABLE


class Inapplicable(Exception):
    """There cannot be such a run; the message says why. It is no failure: the table has no figure there."""


def note(folders: tuple[Path, ...], reason: Inapplicable) -> None:
    """Write, in the place of what the run would have made, why there is nothing."""
    for folder in folders:
        with atomic_folder(folder) as temporary:
            write_json(temporary / FILE, {INAPPLICABLE: str(reason)})
