"""Predict the texts of a file with a tuned model.

    python -m stages.predict --model models/selected/imdb/best --input texts.csv

writes texts.predictions.csv: each row's number, all its columns, the label and the probability of each class, or the
score. The texts stand in the column `text`, of pairs in `text` and `text_pair`; others are named:

    python -m stages.predict --model models:/imdb@champion --input a.parquet --text first second --output b.jsonl

Files are csv, tsv, jsonl or parquet, as their names say. A row without a text, or one that cannot be read, is left out
and reported; a text that is longer than the model reads is cut, as it was in training. If the file has a column of an
answer's name, a `label` of its own, ours is called `predicted_label`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages import command
from stages.errors import StageError


def main(argv: Sequence[str] | None) -> None:
    """Parse, open, predict, say what became of it."""
    arguments = _parse(argv)
    source: Path = arguments.input
    target: Path = arguments.output or source.with_name(f"{source.name.partition('.')[0]}.predictions.csv")
    if target.resolve() == source.resolve():
        raise StageError(f"--output {target} is the input: name another file")
    if arguments.batch_size < 1:
        raise StageError(f"--batch-size {arguments.batch_size}: it must be at least 1")
    if arguments.text and len(arguments.text) > 2:
        raise StageError(f"--text {' '.join(arguments.text)}: name one column, or two for pairs of texts")

    from stages.predict import rows, writers

    writers.get(target)
    table = rows.survey(source)
    texts = table.text_columns(arguments.text) if table.schema.names else arguments.text or ["text"]

    from stages.predict import run
    from stages.predict import source as models
    from stages.predict.predictor import Predictor

    with models.folder(arguments.model) as folder:
        predictor = Predictor(folder)
    tally = run.predict(predictor, table, texts, target, arguments.batch_size)
    print(f"{target}: {tally.answered:,} of {table.count:,} rows")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("stages.predict", __doc__)
    parser.add_argument("--model", required=True, help="a folder of a tuned model, or an MLflow URI")
    parser.add_argument("--input", required=True, type=Path, help="csv, tsv, jsonl or parquet")
    parser.add_argument("--output", type=Path, help="default: <input>.predictions.csv, beside the input")
    parser.add_argument("--text", nargs="+", metavar="COLUMN", help="the column of the text, or the two of a pair")
    parser.add_argument("--batch-size", type=int, default=64, help="rows computed at once; default: %(default)s")
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
