"""Compress the selected model of a task.

    python -m stages.compress --task imdb --compressor int8_dynamic

Reads models/selected/<task>; writes models/compressed/<task>/<compressor> and its test predictions under
data/predictions/compressed.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, compress, predict with what was saved, log."""
    parser = command.parser("stages.compress", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    parser.add_argument("--compressor", required=True, help="a name in params.yaml: compress.compressors")
    arguments = parser.parse_args(argv)
    task, name = arguments.task, arguments.compressor
    settings = params.load()

    source, target = paths.selected(task), paths.compressed(task, name)
    predicted = paths.PREDICTIONS / "compressed" / task / name
    with tracking.run(
        kind="compress",
        name=f"compress · {task} · {name}",
        params=settings.compressors.get(name, {}),
        tags={"task": task, "compressor": name},
        inputs=[source, paths.encoded(task), paths.task(task), paths.TOKENIZER],
        outputs=[target, predicted],
    ) as run:
        import torch

        from stages.compress import files, methods
        from stages.finetune import files as tuned_files
        from stages.finetune.score import score

        torch.set_num_threads(settings.engine.threads)
        kind = methods.get(name)
        options = params.options(kind.Options, settings.compressors, "compressors", name)
        files.save(target, name, kind(options), source)
        chosen = artifacts.read_json(source / "run.json")
        keys = ("objective", "method", "seed", "parameters", "trainable_parameters")
        identity = {key: chosen[key] for key in keys} | {"compressor": name, "bytes_before": tuned_files.size(source)}
        figures = score(
            files.load(target),
            torch.float32,
            settings.finetune,
            task=task,
            folder=target,
            predicted=predicted,
            run=identity,
        )
        run.summary(figures)


if __name__ == "__main__":
    command.run(main)
