"""Tokens per second of the training engine, against transformers' Trainer on the same model shape and data.

    python -m tests.benchmarks.training

Masked language modelling, 4 layers x 256, 4 heads, vocabulary 8192, sequences of 128. The peer is `Trainer` with
`BertForMaskedLM` and `DataCollatorForLanguageModeling`, once in fp32 and once with ``bf16=True``. Ours and the peer
take turns, each time in a process of its own, and ratios are medians over the turns. Writes
reports/benchmarks/training.csv.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
from collections.abc import Iterator

from stages import paths
from stages.artifacts import atomic_file
from tests.benchmarks.workload import Amount, parser

ENGINE = "engine"
CONTENDERS = {
    ENGINE: ["tests.benchmarks.engine"],
    "transformers Trainer fp32": ["tests.benchmarks.trainer"],
    "transformers Trainer bf16": ["tests.benchmarks.trainer", "--bf16"],
}


def measure(amount: Amount, turns: int) -> Iterator[tuple[str, str, str, str, float, float]]:
    """Rows (subject, peer, figure, unit, value, ratio of ours to the peer)."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(turns):
        for name in CONTENDERS:
            rates[name].append(_rate(name, amount))
            print(f"{name}: {rates[name][-1]:,.0f} tokens/s", flush=True)
    for name in list(CONTENDERS)[1:]:
        ratio = statistics.median(a / b for a, b in zip(rates[ENGINE], rates[name], strict=True))
        yield ENGINE, name, "training", "tokens/s", statistics.median(rates[ENGINE]), ratio


def _rate(name: str, amount: Amount) -> float:
    size = ["--batch-size", str(amount.batch_size), "--steps", str(amount.steps)]
    command = [sys.executable, "-m", *CONTENDERS[name], *size]
    done = subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print and write."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=5)
    given = options.parse_args()
    rows = list(measure(Amount(given.batch_size, given.steps), given.turns))
    target = paths.REPORTS / "benchmarks" / "training.csv"
    with atomic_file(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("subject", "peer", "figure", "unit", "value", "ratio"))
        writer.writerows((*row[:4], f"{row[4]:.0f}", f"{row[5]:.2f}") for row in rows)
    for row in rows:
        print(f"{row[0]} / {row[1]}: {row[5]:.2f}x ({row[4]:,.0f} tokens/s)")


if __name__ == "__main__":
    main()
