"""Fine-tuning on GLUE against transformers' Trainer set up as its `run_glue.py`: the same scores in less time.

    python -m tests.benchmarks.glue --glue data/glue

Full fine-tuning of the checkpoint ``minilm`` of params.yaml on CoLA, RTE and STS-B: batches of 32, learning rate 2e-5
falling in a line, 3 epochs, texts cut to 128 tokens, each run in a process of its own. Seconds are those of a step,
over the first of them: ours and the peer take turns on 2 threads, several times. Scores are those of three seeds on
validation behind the last step, so neither chooses by it: two trainings at once, on a thread each. In
reports/benchmarks/glue.csv, ``value`` is the mean of ours and ``deviation`` its standard deviation, beside those of the
peer; ``ratio`` is the median of ours to the peer over the turns. Seconds of all tasks come first, for they want a
machine that does nothing else; scores do not mind. Figures are written as they are found, and what the file holds, or
for single trainings .state/benchmarks, is not measured again: remove it to begin anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from stages import params, paths
from stages.artifacts import atomic_file
from stages.gather import checkpoints
from tests.benchmarks.glue_workload import TASKS, Run

CHECKPOINT, SEEDS, STEPS, TURNS, AT_ONCE = "minilm", (0, 1, 2), 40, 3, 2
CONTENDERS = {"engine": "tests.benchmarks.glue_engine", "transformers Trainer fp32": "tests.benchmarks.glue_trainer"}
ENGINE, PEER = CONTENDERS
TARGET = paths.REPORTS / "benchmarks" / "glue.csv"
DONE = paths.ROOT / ".state" / "benchmarks" / "glue"


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
        """From the figures of all turns."""
        value, other = statistics.mean(ours), statistics.mean(theirs)
        ratio = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
        return cls(ENGINE, PEER, figure, unit, value, ratio, statistics.stdev(ours), other, statistics.stdev(theirs))

    def told(self) -> str:
        """For who waits."""
        ours, theirs = f"{self.value:.4f} ± {self.deviation:.4f}", f"{self.peer_value:.4f} ± {self.peer_deviation:.4f}"
        return f"{self.figure}: {ours} {self.unit} against {theirs} of the peer, ratio {self.ratio:.2f}"


def measure(glue: Path, checkpoint: Path, known: Collection[str]) -> Iterator[Row]:
    """Each task's seconds, then each task's scores, but for the figures that are known."""
    asked = {name: ["--glue", str(glue), "--checkpoint", str(checkpoint), "--task", name] for name in TASKS}
    for name in TASKS:
        if (figure := f"{name} step") not in known:
            timed = [*asked[name], "--seed", "0", "--steps", str(STEPS)]
            steps = [{who: _run(who, timed) for who in CONTENDERS} for _ in range(TURNS)]
            yield Row.of(figure, "s", *([turn[who].seconds for turn in steps] for who in CONTENDERS))
    figures = {f"{name} {task.metric}": name for name, task in TASKS.items()}
    wanted = {figure: name for figure, name in figures.items() if figure not in known}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {
            figure: {who: [pool.submit(_score, who, name, seed, asked[name]) for seed in SEEDS] for who in CONTENDERS}
            for figure, name in wanted.items()
        }
        for figure, of in runs.items():
            yield Row.of(figure, "score", *(_all(of[who]) for who in CONTENDERS))


def _all(scores: list[Future[float]]) -> list[float]:
    return [score.result() for score in scores]


def _score(who: str, task: str, seed: int, asked: list[str]) -> float:
    """That of a training, which may have been done before."""
    done = DONE / f"{task}-{seed}-{CONTENDERS[who].rpartition('_')[2]}.json"
    if not done.exists():
        found = _run(who, [*asked, "--seed", str(seed), "--threads", "1"])
        done.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(done) as temporary:
            temporary.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return Run(**json.loads(done.read_text(encoding="utf-8"))).score


def _run(who: str, asked: list[str]) -> Run:
    """What a contender finds, told to who waits."""
    command = [sys.executable, "-m", CONTENDERS[who], *asked]
    done = subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = Run(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{who} {' '.join(asked[4:])}: score {found.score:.4f}, {found.seconds:.3f} s a step", flush=True)
    return found


def read() -> list[Row]:
    """What was measured before."""
    if not TARGET.exists():
        return []
    with TARGET.open(newline="", encoding="utf-8") as file:
        return [Row(*row[:4], *map(float, row[4:])) for row in list(csv.reader(file))[1:]]


def write(rows: list[Row]) -> None:
    """Replace the report."""
    with atomic_file(TARGET) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:4], *(f"{number:.4f}" for number in row[4:])] for row in rows)


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--glue", type=Path, required=True, help="folder of <task>/{train,validation}.parquet")
    glue = options.parse_args().glue.resolve()
    rows = read()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.fetch(CHECKPOINT, params.load().checkpoints[CHECKPOINT], Path(folder))
        for measured in measure(glue, Path(folder), {row.figure for row in rows}):
            print(measured.told(), flush=True)
            write(rows := [*rows, measured])


if __name__ == "__main__":
    main()
