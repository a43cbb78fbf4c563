"""Gather what single objectives read besides the corpus.

    python -m stages.gather

Reads data/encoded and data/corpora, and fetches checkpoints; writes data/gathered/<objective>: the labelled examples of
the tasks for objectives that learn from them, the further corpora that an entry's phases read, and the checkpoint of an
entry with ``start``. For all others it says that there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, gather, log."""
    command.parser("stages.gather", __doc__).parse_args(argv)
    settings = params.load()
    with tracking.run(
        kind="gather",
        name="gather",
        params={"objectives": settings.pretrain.objectives},
        tags={},
        inputs=[paths.CORPORA, paths.ENCODED, paths.TOKENIZER],
        outputs=[paths.GATHERED],
    ):
        from stages.gather.gather import gather

        gather(settings)


if __name__ == "__main__":
    command.run(main)
