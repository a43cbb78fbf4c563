"""Look inside the selected model of a task.

    python -m stages.diagnose --task imdb

Reads models/selected/<task>/best and data/tasks/<task>; writes data/metrics/diagnose/<task>.json: whether it is right
as often as it says, how many answers survive typos and other noise, whether they depend on whom a text is about, the
mistakes that it is surest of, and what single tokens add to an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, look, write, log."""
    parser = command.parser("stages.diagnose", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    task = parser.parse_args(argv).task
    settings = params.load()
    source, target = paths.selected(task), paths.METRICS / "diagnose" / f"{task}.json"
    with tracking.run(
        kind="diagnose",
        name=f"diagnose · {task}",
        params=settings.diagnose.model_dump(),
        tags={"task": task},
        inputs=[source, paths.task(task)],
        outputs=[target],
    ) as run:
        import torch

        from stages.diagnose.diagnose import diagnose

        torch.set_num_threads(settings.engine.threads)
        found = diagnose(task, source, settings.diagnose)
        artifacts.write_json(target, found.model_dump())
        figures = {f"accuracy.{item.noise.replace(' ', '_')}": item.accuracy for item in found.disturbed}
        if found.calibration:
            figures["calibration.error"] = found.calibration.error
        run.summary(figures)
        run.artifact(target)


if __name__ == "__main__":
    command.run(main)
