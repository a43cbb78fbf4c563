"""What both contenders of `tests.benchmarks.glue` do; free of this project, which sets up the process it is in."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

LENGTH, BATCH, LEARNING_RATE, EPOCHS, THREADS = 128, 32, 2e-5, 3, 2
"""Those of the README beside run_glue.py; threads are ours."""


@dataclass(frozen=True)
class GlueTask:
    """What `run_glue.py` knows of a task: its texts, its classes (none of a score), its metric."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str


TASKS = {
    "rte": GlueTask(("sentence1", "sentence2"), ("entailment", "not_entailment"), "accuracy"),
    "stsb": GlueTask(("sentence1", "sentence2"), (), "pearson"),
    "cola": GlueTask(("sentence",), ("unacceptable", "acceptable"), "matthews"),
}


@dataclass(frozen=True)
class Run:
    """One training: the score on validation behind its last step, or of some steps the seconds of each."""

    score: float
    seconds: float

    def told(self) -> str:
        """A line for the process that asked."""
        return json.dumps(asdict(self))


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments of one run."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--glue", type=Path, required=True, help="folder of <task>/{train,validation}.parquet")
    made.add_argument("--checkpoint", type=Path, required=True, help="folder that AutoModel opens")
    made.add_argument("--task", choices=TASKS, required=True)
    made.add_argument("--seed", type=int, required=True)
    made.add_argument("--steps", type=int, help="train no longer, and measure what a step takes")
    made.add_argument("--threads", type=int, default=THREADS)
    return made
