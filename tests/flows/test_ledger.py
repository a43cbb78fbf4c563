"""DVC's list of files in use, where its process is killed while it writes it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from dvc import rwlock
from dvc.fs import localfs

from flows import ledger

Edit = Callable[..., Any]


def note(folder: Path, edit: Edit, name: str, dump: Callable[..., None] | None = None) -> None:
    """Say in the list that this process reads a file; in a process of its own."""
    rwlock._edit_rwlock = edit
    if dump:
        rwlock.json.dump = dump
    with edit(str(folder), localfs, False) as listed:
        rwlock._acquire_read(listed, {"pid": os.getpid(), "cmd": name}, [name])


def killed_in_the_middle(listed: Any, file: IO[str]) -> None:
    file.write('{"re')
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def run(*arguments: Any) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=note, args=arguments)
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.parametrize(("edit", "after"), [(ledger._edit, 1), (ledger.edit, 0)], ids=["dvc's own", "ours"])
def test_the_list_outlives_a_process_that_is_killed_as_it_writes(tmp_path: Path, edit: Edit, after: int) -> None:
    """DVC's own way is the reference that shows what happens otherwise."""
    assert run(tmp_path, edit, "first") == 0
    assert run(tmp_path, edit, "second", killed_in_the_middle) == -signal.SIGKILL
    assert run(tmp_path, edit, "third") == after
    if not after:
        with ledger.edit(str(tmp_path), localfs, False) as listed:
            assert list(listed["read"]) == ["first", "third"]


def test_stages_of_flows_do_so() -> None:
    from flows import reproduce  # noqa: F401, its import is what is tested

    assert rwlock._edit_rwlock is ledger.edit
