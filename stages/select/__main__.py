"""Choose the best fine-tuned model of a task on validation, and the best of each objective that is to be compressed.

    python -m stages.select --task imdb

Reads the models and predictions of the task's runs; writes models/selected/<task>/best, and <objective> beside it for
those that params.yaml lists in compress.models.
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
    with tracking.run(
        kind="select",
        name=f"select · {task}",
        params={},
        tags={"task": task},
        inputs=[paths.MODELS / "finetuned" / task, paths.PREDICTIONS / "finetuned" / task],
        outputs=[paths.selected(task).parent],
    ) as run:
        from stages.select import choose

        for model, chosen in choose.choose(settings, task).items():
            choose.write(chosen, paths.selected(task, model))
            metric, score = chosen.record.metric, chosen.record.score
            of = "" if model == paths.BEST else f" of {model}"
            print(f"{task}: {chosen.folder.name} is best{of} on validation, {metric} {score:.4f}")
            run.summary({f"validation.{metric}{of.replace(' ', '.')}": score})


if __name__ == "__main__":
    command.run(main)
