"""Fine-tune one pre-trained model on one task with one method and one seed.

    python -m stages.finetune --task imdb --objective mlm --method full --seed 0

Reads models/pretrained/<objective>-<seed> and data/encoded/<task>, or data/tasks/<task> where the model has another
tokenizer than models/tokenizer; writes the model to models/finetuned/<task>/<objective>-<method>-<seed>, or of a method
that trains part of the weights that part, its test predictions under data/predictions/finetuned and its validation
curve under data/curves/finetune. Where the method does not fit what the objective makes, a file in their place says
why. What it took in seconds and in memory is logged alone: no two runs are alike in that.
A run that was killed goes on where it was. NPROC_PER_NODE=2 shares each batch between two processes, each on a GPU of
its own (`stages.training.launch`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stages import command, params, paths, record, tracking
from stages.errors import Inapplicable
from stages.finetune.cell import Cell
from stages.params import Params
from stages.training import launch

if TYPE_CHECKING:
    from stages.finetune.methods.base import Tuned


def main(argv: Sequence[str] | None) -> None:
    """Parse, fit, save, predict with what was saved, log."""
    parser = command.parser("stages.finetune", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    parser.add_argument("--objective", required=True, help="a name in params.yaml: pretrain.objectives")
    parser.add_argument("--method", required=True, help="a name in params.yaml: finetune.methods")
    parser.add_argument("--seed", required=True, type=int, help="seeds the choice and order of examples")
    cell, settings = Cell(**vars(parser.parse_args(argv))), params.load()
    if launch.follows():
        _follow(settings, cell)
        return
    with tracking.run(
        kind="finetune",
        name=f"finetune · {cell.task} · {cell.objective} · {cell.method} · seed {cell.seed}",
        params={
            **settings.finetune.model_dump(exclude={"methods", "intermediate"}),
            "intermediate": settings.finetune.intermediate.get(cell.task, "none"),
            **settings.engine.model_dump(),
            **settings.methods.get(cell.method, {}),
        },
        tags=cell._asdict(),
        inputs=cell.inputs,
        outputs=[cell.model, cell.predictions, cell.curve],
    ) as run:
        _fit(settings, cell, run)


def _fit(settings: Params, cell: Cell, run: tracking.Run) -> None:
    from stages.finetune import files
    from stages.finetune.run import checkpoint_of, finetune, method_of
    from stages.training import memory
    from stages.training.curve import write_curve
    from stages.training.observer import watching

    checkpoint = checkpoint_of(settings, *cell)
    with watching(f"finetune {cell.task} {cell.objective} {cell.method}, seed {cell.seed}", None, run) as observer:
        started = time.monotonic()
        try:
            tuned = finetune(settings, *cell, checkpoint, observer)
        except Inapplicable as reason:
            absent = record.Absence(**_identity(cell), reason=str(reason))
            record.note((cell.model, cell.predictions), absent)
            write_curve(cell.curve, [])
            print(f"{cell.model.name} cannot be: {reason}")
            return
        cost = {"seconds": time.monotonic() - started, "peak_memory_bytes": memory.peak()}
    pretrained = paths.pretrained(cell.objective, cell.seed)
    files.save(cell.model, tuned, cell.method, method_of(settings, cell.method), pretrained)
    write_curve(cell.curve, tuned.curve)
    figures = _score(settings, cell, tuned)
    checkpoint.discard()
    run.summary({**figures, **cost, "trainable_parameters": tuned.trainable_parameters})


def _follow(settings: Params, cell: Cell) -> None:
    """Train with the process that reports and writes."""
    from stages.finetune.run import checkpoint_of, finetune
    from stages.training.observer import Unwatched

    with suppress(Inapplicable):
        finetune(settings, *cell, checkpoint_of(settings, *cell), Unwatched())


def _score(settings: Params, cell: Cell, tuned: Tuned) -> dict[str, float]:
    """The figures of what was written, and its answers."""
    from stages.finetune import files
    from stages.finetune.score import score
    from stages.training import device, precision

    sizes = {
        "parameters": sum(parameter.numel() for parameter in tuned.model.parameters()),
        "trainable_parameters": tuned.trainable_parameters,
    }
    return score(
        files.load(cell.model).to(device.find()),
        precision.compute_dtype(settings.engine),
        settings.finetune,
        task=cell.task,
        folder=cell.model,
        predicted=cell.predictions,
        run=_identity(cell) | sizes,
    )


def _identity(cell: Cell) -> dict[str, Any]:
    """As what is noted of the run names it."""
    return {"objective": cell.objective, "method": cell.method, "compressor": record.NONE, "seed": cell.seed}


if __name__ == "__main__":
    command.run(launch.in_processes(main, "stages.finetune"))
