"""A run that is killed outright, twice, ends with the bits of one left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import save_file

from stages import paths
from stages.training import loop
from tests.training.toy import Silent, plan, run

STEPS = 400


def child(folder: Path) -> subprocess.Popen[str]:
    """The run as a process of its own; it says when it starts a step."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.test_kill", str(folder)],
        cwd=paths.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


class Talking(Silent):
    """Prints each step, and takes its time, so that there is something to kill."""

    def step(self, step: int, tokens: int, loss: float) -> None:
        print(step, flush=True)
        time.sleep(0.002)


def test_sigkill_twice_in_a_row(tmp_path: Path) -> None:
    """Killed in the middle of a step or of writing a checkpoint, whichever it is."""
    first_steps = []
    for stop_at in (90, 110):
        process = child(tmp_path / "killed")
        assert process.stdout is not None
        seen = [int(next(process.stdout)) for _ in range(stop_at)]
        first_steps.append(seen[0])
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
    process = child(tmp_path / "killed")
    output, _ = process.communicate()
    assert process.returncode == 0
    first_steps.append(int(output.split()[0]))
    assert first_steps[0] == 1
    assert 1 < first_steps[1] < first_steps[2], "each start must go on where the last one was"
    whole = child(tmp_path / "whole")
    whole.communicate()
    results = [(tmp_path / name / "result.safetensors").read_bytes() for name in ("killed", "whole")]
    assert results[0] == results[1]


def main(folder: Path) -> None:
    """Train with a checkpoint after every step, then write the weights."""
    loop.CHECKPOINT_SECONDS = 0.0
    workload, _ = run(folder, plan(steps=STEPS), Talking())
    save_file(workload.model.state_dict(), folder / "result.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
