"""Compress the selected model of a task.

    python -m stages.compress --task imdb --compressor int8_dynamic

Reads models/selected/<task>, and the training and validation examples in data/encoded/<task>, or data/tasks/<task>
where the model has another tokenizer than models/tokenizer; writes models/compressed/<task>/<compressor> and its test
predictions under data/predictions/compressed. What trains and was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stages import artifacts, command, params, paths, tracking
from stages.params import Params


def main(argv: Sequence[str] | None) -> None:
    """Parse, compress, predict with what was saved, log."""
    parser = command.parser("stages.compress", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    parser.add_argument("--compressor", required=True, help="a name in params.yaml: compress.compressors")
    arguments = parser.parse_args(argv)
    task, name, settings = arguments.task, arguments.compressor, params.load()
    entry = settings.compressors.get(name, {})
    with tracking.run(
        kind="compress",
        name=f"compress · {task} · {name}",
        params=entry if isinstance(entry, Mapping) else {"steps": entry},
        tags={"task": task, "compressor": name},
        inputs=[paths.selected(task), paths.encoded(task), paths.task(task), paths.TOKENIZER],
        outputs=[paths.compressed(task, name), _predicted(task, name)],
    ) as run:
        _compress(settings, task, name, run)


def _predicted(task: str, name: str) -> Path:
    return paths.PREDICTIONS / "compressed" / task / name


def _compress(settings: Params, task: str, name: str, run: tracking.Run) -> None:
    from stages.compress import chain, files, material
    from stages.training.observer import watching

    steps, target = chain.read(settings, name), paths.compressed(task, name)
    with watching(f"compress {task} {name}", None, run) as observer:
        given = material.gather(settings, task, name, observer)
        parameters = files.save(target, steps, given)
    run.summary(_score(settings, task, name, parameters))
    given.discard()


def _score(settings: Params, task: str, name: str, parameters: int) -> dict[str, float]:
    """The figures of what was written, and its answers."""
    import torch

    from stages.compress import files
    from stages.finetune import files as tuned_files
    from stages.finetune.score import score

    source, target = paths.selected(task), paths.compressed(task, name)
    chosen = artifacts.read_json(source / "run.json")
    keys = ("objective", "method", "seed", "trainable_parameters")
    sizes = {
        "parameters": parameters,
        "nonzero": files.nonzero(target),
        "bytes_before": tuned_files.size(source),
    }
    identity = {key: chosen[key] for key in keys} | sizes | {"compressor": name}
    return score(
        files.load(target),
        torch.float32,
        settings.finetune,
        task=task,
        folder=target,
        predicted=_predicted(task, name),
        run=identity,
    )


if __name__ == "__main__":
    command.run(main)
