"""Choose the best fine-tuned model of a task on validation.

    python -m stages.select --task imdb

Reads the models and predictions of the task's runs; writes models/selected/<task>.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, choose, copy, log."""
    parser = command.parser("stages.select", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    task = parser.parse_args(argv).task
    settings = params.load()
    target = paths.selected(task)
    with tracking.run(
        kind="select",
        name=f"select · {task}",
        params={},
        tags={"task": task},
        inputs=[paths.MODELS / "finetuned" / task, paths.PREDICTIONS / "finetuned" / task],
        outputs=[target],
    ) as run:
        from stages.select import choose

        chosen = choose.best(choose.candidates(settings, task))
        choose.write(chosen, target)
        print(f"{task}: {chosen.folder.name} is best on validation, {chosen.metric} {chosen.value:.4f}")
        run.summary({f"validation.{chosen.metric}": chosen.value})


if __name__ == "__main__":
    command.run(main)
