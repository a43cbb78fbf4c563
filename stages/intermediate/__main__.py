"""Lay beside each task what its models are fitted to before.

    python -m stages.intermediate

Reads data/tasks; writes data/intermediate/<task>: the training and validation rows of the task that
``finetune.intermediate`` names for it, and the options of the method `full`. For all other tasks it says that there is
nothing, so that a change of a task's rows makes no other task's models anew but those that are fitted to it before.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, lend, log."""
    command.parser("stages.intermediate", __doc__).parse_args(argv)
    settings = params.load()
    with tracking.run(
        kind="intermediate",
        name="intermediate",
        params=settings.finetune.intermediate,
        tags={},
        inputs=[paths.TASKS],
        outputs=[paths.INTERMEDIATE],
    ):
        from stages.intermediate.lend import lend

        lend(settings)


if __name__ == "__main__":
    command.run(main)
