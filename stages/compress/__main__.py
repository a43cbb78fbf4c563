"""Compress a selected model of a task.

    python -m stages.compress --task imdb --compressor int8_dynamic

Reads models/selected/<task>/<model>, the training and validation examples in data/encoded/<task>, or data/tasks/<task>
where the model has another tokenizer than models/tokenizer, and texts in data/corpus where a student is to learn from
some; writes models/compressed/<task>/<model>/<compressor> and its test predictions under data/predictions/compressed.
Where the compressor does not fit the model, a file in their place says why. What trains and was killed goes on where it
was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages import command, params, paths, record, tracking
from stages.compress.cell import Cell
from stages.errors import Inapplicable
from stages.params import Params


def main(argv: Sequence[str] | None) -> None:
    """Parse, compress, predict with what was saved, log."""
    parser = command.parser("stages.compress", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    parser.add_argument("--model", default=paths.BEST, help="a name in params.yaml: compress.models; default: best")
    parser.add_argument("--compressor", required=True, help="a name in params.yaml: compress.compressors")
    arguments = parser.parse_args(argv)
    cell, settings = Cell(arguments.task, arguments.model, arguments.compressor), params.load()
    entry = settings.compressors.get(cell.compressor, {})
    with tracking.run(
        kind="compress",
        name=f"compress · {cell.task} · {cell.model} · {cell.compressor}",
        params=entry if isinstance(entry, Mapping) else {"steps": entry},
        tags=cell._asdict(),
        inputs=[cell.source, paths.CORPUS, paths.encoded(cell.task), paths.task(cell.task), paths.TOKENIZER],
        outputs=[cell.target, cell.predictions],
    ) as run:
        _compress(settings, cell, run)


def _compress(settings: Params, cell: Cell, run: tracking.Run) -> None:
    from stages.compress import chain, files, material
    from stages.training.observer import watching

    steps = chain.read(settings, cell.compressor)
    with watching(f"compress {cell.task} {cell.model} {cell.compressor}", None, run) as observer:
        given = material.gather(settings, cell, observer)
        try:
            parameters = files.save(cell.target, steps, given)
        except Inapplicable as reason:
            absent = record.Absence(**_identity(cell), reason=str(reason))
            record.note((cell.target, cell.predictions), absent)
            print(f"{cell.compressor} of {cell.task}'s {cell.model} cannot be: {reason}")
            given.discard()
            return
    run.summary(_score(settings, cell, parameters))
    given.discard()


def _score(settings: Params, cell: Cell, parameters: int) -> dict[str, float]:
    """The figures of what was written, and its answers."""
    import torch

    from stages.compress import files
    from stages.finetune import files as tuned_files
    from stages.finetune.score import score

    sizes = {
        "parameters": parameters,
        "trainable_parameters": record.read(cell.source).trainable_parameters,
        "nonzero": files.nonzero(cell.target),
        "bytes_before": tuned_files.size(cell.source),
    }
    return score(
        files.load(cell.target),
        torch.float32,
        settings.finetune,
        task=cell.task,
        folder=cell.target,
        predicted=cell.predictions,
        run=_identity(cell) | sizes,
    )


def _identity(cell: Cell) -> dict[str, Any]:
    """As what is noted of the run names it."""
    model = record.read(cell.source).model_dump(include={"objective", "method", "seed"})
    return {**model, "compressor": cell.compressor}


if __name__ == "__main__":
    command.run(main)
