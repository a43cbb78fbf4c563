"""Register the selected model of a task in MLflow, and make it the champion if it beats the present one.

    python -m stages.register --task imdb

Reads models/selected/<task>/best and the task's validation examples; writes to the MLflow store alone. If that cannot
be reached, a warning says so and nothing else is lost: run it again by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stages import command, params, paths, tracking
from stages.tracking import store


def main(argv: Sequence[str] | None) -> None:
    """Parse, register, say what became of it."""
    parser = command.parser("stages.register", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    task = parser.parse_args(argv).task
    settings = params.load()
    with tracking.run(
        kind="register",
        name=f"register · {task}",
        params={},
        tags={"task": task},
        inputs=[paths.selected(task), paths.encoded(task), paths.task(task), paths.TOKENIZER],
        outputs=[],
    ) as run:
        from stages.register import champion

        candidate = champion.candidate(settings, task)
        try:
            verdict = champion.register(settings, candidate)
        except Exception as error:  # whatever a store may raise: the model itself is where it was
            reason = str(error).partition("\n")[0]
            print(f"warning: {task} may not be registered in {store.uri()}: {reason}", file=sys.stderr)
            print(f"when that is mended: python -m stages.register --task {task}", file=sys.stderr)
            return
        print(f"{task}: {verdict.text}")
        run.summary({"version": verdict.version, "champion": verdict.is_champion})


if __name__ == "__main__":
    command.run(main)
