"""A command for `test_launch` that ends as it is told to, in several processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stages import command
from stages.errors import StageError
from stages.training import launch


def main(argv: Sequence[str] | None) -> None:
    """Leave a file named after the process's number, with its pid; then do as the first argument says."""
    what, folder = (sys.argv[1:] if argv is None else argv)[:2]
    rank = os.environ.get(launch.RANK, launch.FIRST)
    (Path(folder) / rank).write_text(f"{os.getpid()} {launch.follows()}")
    if what == "refuse":
        raise StageError("there is nothing to train")
    if what == "die" and launch.follows():
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("die", "wait"):
        time.sleep(60)


if __name__ == "__main__":
    command.run(launch.in_processes(main, "tests.training.launched"))
