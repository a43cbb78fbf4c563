"""Learn the sub-word vocabulary, and turn texts into token ids with it.

  train    learn it from data/corpus/train.parquet, or take that of the checkpoint in params.yaml:
           tokenizer.start; models/tokenizer, and its figures on the corpus's validation text in
           data/metrics/tokenizer.json
  pack     the corpus as token ids: data/packed/{train,validation}
  encode   a task as token ids: data/encoded/<task>/{train,validation,test}, and further/<set> of each further set

Examples:
  python -m stages.tokenizer train
  python -m stages.tokenizer pack
  python -m stages.tokenizer encode --task imdb
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from stages import artifacts, command, params, paths, tracking


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("stages.tokenizer", __doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="train|pack|encode")
    actions.add_parser("train", help="learn the vocabulary from the corpus")
    actions.add_parser("pack", help="write the corpus as token ids")
    encode = actions.add_parser("encode", help="write a task as token ids")
    encode.add_argument("--task", required=True, help="a task of the sources in use")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None) -> None:
    """Run one action."""
    arguments = _arguments(argv)
    settings = params.load()
    os.environ.setdefault("RAYON_NUM_THREADS", str(settings.engine.threads))
    if arguments.action == "train":
        _train(settings)
    elif arguments.action == "pack":
        _pack()
    else:
        _encode(arguments.task)


def _train(settings: params.Params) -> None:
    figures_file = paths.METRICS / "tokenizer.json"
    with tracking.run(
        kind="tokenizer",
        name=f"tokenizer · {settings.tokenizer.algorithm} {settings.tokenizer.vocab_size}",
        params=settings.tokenizer.model_dump(),
        tags={},
        inputs=[paths.CORPUS],
        outputs=[paths.TOKENIZER, figures_file],
    ) as run:
        from stages.tokenizer.files import save
        from stages.tokenizer.statistics import statistics
        from stages.tokenizer.taken import taken
        from stages.tokenizer.texts import texts_of
        from stages.tokenizer.train import train

        if (start := settings.tokenizer.start) is not None:
            tokenizer = taken(start, settings.checkpoints[start])
        else:
            tokenizer = train(texts_of(paths.CORPUS / "train.parquet"), settings.tokenizer)
        save(tokenizer, paths.TOKENIZER)
        figures = statistics(tokenizer, texts_of(paths.CORPUS / "validation.parquet"))
        artifacts.write_json(figures_file, figures)
        run.summary(figures)


def _pack() -> None:
    with _encoding("pack", [paths.CORPUS], paths.PACKED):
        from stages.tokenizer.encode import pack
        from stages.tokenizer.files import load

        tokenizer = load(paths.TOKENIZER)
        for split in ("train", "validation"):
            pack(tokenizer, paths.CORPUS / f"{split}.parquet", paths.PACKED / split)


def _encode(task: str) -> None:
    with _encoding(f"encode · {task}", [paths.task(task)], paths.encoded(task)):
        from stages.tokenizer.encode import encode, sets
        from stages.tokenizer.files import load

        tokenizer = load(paths.TOKENIZER)
        for name in sets(paths.task(task)):
            encode(tokenizer, paths.task(task) / f"{name}.parquet", paths.encoded(task) / name)


def _encoding(name: str, texts: list[Path], target: Path) -> AbstractContextManager[tracking.Run]:
    """The tracked run of a stage that turns texts into ids."""
    return tracking.run(
        kind="encode", name=name, params={}, tags={}, inputs=[*texts, paths.TOKENIZER], outputs=[target]
    )


if __name__ == "__main__":
    command.run(main)
