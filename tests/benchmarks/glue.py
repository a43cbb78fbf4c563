"""Fine-tuning on GLUE against transformers' Trainer set up as its `run_glue.py`: the same scores in less time.

    python -m tests.benchmarks.glue --glue data/glue

Full fine-tuning of the checkpoint ``minilm`` of params.yaml on CoLA, RTE and STS-B: batches of 32, learning rate 2e-5
falling in a line, 3 epochs, texts cut to 128 tokens, 2 threads; three seeds, for which ours and the peer take turns,
each in a process of its own. Each is scored on validation behind its last step, so neither chooses by it. In
reports/benchmarks/glue.csv, ``value`` is the mean over seeds of ours and ``deviation`` its standard deviation, beside
those of the peer; ``ratio`` is that of ours to the peer. Tasks are written as they are done.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages import params, paths
from stages.artifacts import atomic_file
from stages.gather import checkpoints
from tests.benchmarks.glue_workload import TASKS, Run

CHECKPOINT, SEEDS = "minilm", (0, 1, 2)
CONTENDERS = {"engine": "tests.benchmarks.glue_engine", "transformers Trainer fp32": "tests.benchmarks.glue_trainer"}
ENGINE, PEER = CONTENDERS


class Row(NamedTuple):
    """One figure of both."""

    subject: str
    peer: str
    figure: str
    unit: str
    value: float
    ratio: float
    deviation: float
    peer_value: float
    peer_deviation: float

    @classmethod
    def of(cls, figure: str, unit: str, ours: list[float], theirs: list[float]) -> Row:
        """From the figures of all seeds."""
        value, other = statistics.mean(ours), statistics.mean(theirs)
        deviations = statistics.stdev(ours), statistics.stdev(theirs)
        return cls(ENGINE, PEER, figure, unit, value, value / other, deviations[0], other, deviations[1])

    def told(self) -> str:
        """For who waits."""
        ours, theirs = f"{self.value:.4f} ± {self.deviation:.4f}", f"{self.peer_value:.4f} ± {self.peer_deviation:.4f}"
        return f"{self.figure}: {ours} {self.unit} against {theirs} of the peer, ratio {self.ratio:.2f}"


def measure(glue: Path, checkpoint: Path) -> Iterator[list[Row]]:
    """Each task's score and seconds."""
    for name, task in TASKS.items():
        runs: dict[str, list[Run]] = {contender: [] for contender in CONTENDERS}
        for seed in SEEDS:
            for contender in CONTENDERS:
                runs[contender].append(run := _run(contender, glue, checkpoint, name, seed))
                print(
                    f"{name}, seed {seed}, {contender}: {task.metric} {run.score:.4f}, {run.seconds:.0f} s", flush=True
                )
        scores, seconds = (
            [[getattr(run, what) for run in runs[contender]] for contender in CONTENDERS]
            for what in ("score", "seconds")
        )
        yield [Row.of(f"{name} {task.metric}", "score", *scores), Row.of(f"{name} fine-tuning", "s", *seconds)]


def _run(contender: str, glue: Path, checkpoint: Path, task: str, seed: int) -> Run:
    what = ["--glue", str(glue), "--checkpoint", str(checkpoint), "--task", task, "--seed", str(seed)]
    command = [sys.executable, "-m", CONTENDERS[contender], *what]
    done = subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def write(rows: list[Row]) -> None:
    """Replace the report."""
    target = paths.REPORTS / "benchmarks" / "glue.csv"
    with atomic_file(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:4], *(f"{number:.4f}" for number in row[4:])] for row in rows)


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--glue", type=Path, required=True, help="folder of <task>/{train,validation}.parquet")
    glue = options.parse_args().glue.resolve()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.fetch(CHECKPOINT, params.load().checkpoints[CHECKPOINT], Path(folder))
        for measured in measure(glue, Path(folder)):
            print("\n".join(row.told() for row in measured), flush=True)
            write(rows := [*rows, *measured])


if __name__ == "__main__":
    main()
