"""DVC's list of the files that its processes read and write, whole at every moment.

DVC empties the file before it writes it. If the process is killed in between, every later command of DVC ends with
"JSON structure is corrupted" until somebody removes the file. Here the new one takes the place of the old one at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from dvc import rwlock

_edit = rwlock._edit_rwlock


class Whole:
    """The file system through which DVC's `rwlock` sees its file."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self.join = fs.join

    @contextmanager
    def open(self, path: str, mode: str = "r", encoding: str = "utf-8") -> Iterator[IO[str]]:
        """The file to read, or one that replaces it once it has been written to its end."""
        # One at a time writes, so that the name is free; it is not synced, for after a crash of the machine all that
        # the list names is gone, and a stage changes it dozens of times
        written = f"{path}.partial" if mode == "w" else path
        with self._fs.open(written, mode, encoding=encoding) as file:
            yield file
        if written != path:
            Path(written).replace(path)


def edit(lock_dir: str, fs: Any, hardlink: bool) -> AbstractContextManager[dict[str, Any]]:
    """What DVC does to read the list, change it and write it."""
    return _edit(lock_dir, Whole(fs), hardlink)


def keep_whole() -> None:
    """Have DVC do so in this process and those that it forks."""
    rwlock._edit_rwlock = edit
