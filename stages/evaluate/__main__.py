"""Measure all runs of a task on its test split, and compare the objectives.

    python -m stages.evaluate --task imdb

Reads data/predictions/{finetuned,compressed}/<task>; writes data/metrics/evaluate/<task>.json (every value with its
interval, flags, comparisons) and data/metrics/scores/<task>.json (means over seeds, for `dvc metrics`).
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, measure, write, log."""
    parser = command.parser("stages.evaluate", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    task = parser.parse_args(argv).task
    settings = params.load()

    target = paths.METRICS / "evaluate" / f"{task}.json"
    scores = paths.METRICS / "scores" / f"{task}.json"
    with tracking.run(
        kind="evaluate",
        name=f"evaluate · {task}",
        params=settings.evaluate.model_dump(),
        tags={"task": task},
        inputs=[paths.PREDICTIONS / kind / task for kind in ("finetuned", "compressed")],
        outputs=[target, scores],
    ) as run:
        from stages.evaluate import evaluation, runs

        result = evaluation.evaluate(settings, task, runs.read(settings, task))
        means = evaluation.summary(result)
        artifacts.write_json(target, result.model_dump())
        artifacts.write_json(scores, means)
        run.summary(evaluation.flat(means))


if __name__ == "__main__":
    command.run(main)
