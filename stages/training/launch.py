"""A stage in several processes, one for each of its GPUs, as ``torchrun --standalone`` starts them.

    NPROC_PER_NODE=2 python -m stages.pretrain --objective mlm --seed 0

A flow says so for stages that `resources` in params.yaml gives several GPUs. Without GPUs the processes compute on the
processor's cores. Results are those of one process but for the order of sums and for what is drawn for a share of a
batch: they belong to the number of processes, and are the same again with the same number.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages import artifacts
from stages.command import FAILURE
from stages.errors import StageError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

PROCESSES = "NPROC_PER_NODE"
"""The variable that asks for them."""

FIRST, RANK, ERROR_FILE = "0", "RANK", "TORCHELASTIC_ERROR_FILE"
"""What torchrun tells each of them."""

Main = Callable[[Sequence[str] | None], None]


def in_processes(main: Main, module: str) -> Main:
    """A command that is as many processes of ``module`` as the environment asks for."""

    def launched(argv: Sequence[str] | None) -> None:
        if RANK in os.environ:
            _take_part(main, argv)
        elif (count := _asked_for()) > 1:
            _launch(count, module, sys.argv[1:] if argv is None else argv)
        else:
            main(argv)

    return launched


def follows() -> bool:
    """Whether this is one of several processes, and not the first, which alone reports and writes."""
    return os.environ.get(RANK, FIRST) != FIRST


def _asked_for() -> int:
    text = os.environ.get(PROCESSES, "1")
    if not text.isdecimal() or not int(text):
        raise StageError(f"{PROCESSES}={text}: give the number of processes, 1 or more")
    return int(text)


def _launch(count: int, module: str, arguments: Sequence[str]) -> None:
    """Start them, and wait until all are done; the first that fails ends all.

    Raises:
        StageError: there are fewer GPUs, a process raised it, or was killed.
        SystemExit: a process failed, and has shown its traceback.
    """
    import torch
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if 0 < (there := torch.cuda.device_count()) < count:
        raise StageError(f"{PROCESSES}={count}: this process sees only {there} GPUs")
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what failed says why itself
    with tempfile.TemporaryDirectory() as folder:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=module, max_restarts=0, rdzv_backend="c10d",
            rdzv_endpoint="localhost:0", logs_specs=DefaultLogsSpecs(folder),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", module, *arguments)
        except ChildFailedError as failed:
            raise _reason(count, *failed.get_first_failure()) from None
        except SignalException as ended:
            if ended.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + ended.sigval) from None


def _reason(count: int, rank: int, failure: ProcessFailure) -> StageError | SystemExit:
    if failure.exitcode < 0:
        return StageError(f"process {rank} of {count} was killed by signal {-failure.exitcode}")
    if failure.exitcode == FAILURE and Path(failure.error_file).is_file():
        return StageError(failure.message)
    return SystemExit(failure.exitcode)


def _take_part(main: Main, argv: Sequence[str] | None) -> None:
    """Be one of them; an error that a person is meant to read is for who started them, and said once."""
    from stages.training import distributed

    _end_with_parent()
    try:
        main(argv)
    except StageError as error:
        if ERROR_FILE not in os.environ:
            raise
        artifacts.write_json(Path(os.environ[ERROR_FILE]), {"message": str(error), "timestamp": int(time.time())})
        raise SystemExit(FAILURE) from None
    distributed.leave()


def _end_with_parent() -> None:
    """Let the system kill this process with the one that started it, which holds the lease on the GPUs."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
