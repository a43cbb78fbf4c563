"""Fine-tune one pre-trained model on one task with one method and one seed.

    python -m stages.finetune --task imdb --objective mlm --method full --seed 0

Reads models/pretrained/<objective>-<seed> and data/encoded/<task>, or data/tasks/<task> where the model has another
tokenizer than models/tokenizer; writes the model to models/finetuned/<task>/<objective>-<method>-<seed>, or of a method
that trains part of the weights that part, its test predictions under data/predictions/finetuned and its validation
curve under data/curves/finetune. Where the method does not fit what the objective makes, a file in their place says
why. What it took in seconds and in memory is logged alone: no two runs are alike in that.
A run that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from stages import command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, fit, save, predict with what was saved, log."""
    parser = command.parser("stages.finetune", __doc__)
    parser.add_argument("--task", required=True, help="a name in params.yaml: tasks")
    parser.add_argument("--objective", required=True, help="a name in params.yaml: pretrain.objectives")
    parser.add_argument("--method", required=True, help="a name in params.yaml: finetune.methods")
    parser.add_argument("--seed", required=True, type=int, help="seeds the choice and order of examples")
    arguments = parser.parse_args(argv)
    task, objective, method, seed = arguments.task, arguments.objective, arguments.method, arguments.seed
    settings = params.load()

    target = paths.finetuned(task, objective, method, seed)
    predicted = paths.PREDICTIONS / "finetuned" / task / target.name
    curve = paths.CURVES / "finetune" / task / f"{target.name}.csv"
    with tracking.run(
        kind="finetune",
        name=f"finetune · {task} · {objective} · {method} · seed {seed}",
        params={
            **settings.finetune.model_dump(exclude={"methods", "intermediate"}),
            "intermediate": settings.finetune.intermediate.get(task, "none"),
            **settings.engine.model_dump(),
            **settings.methods.get(method, {}),
        },
        tags={"task": task, "objective": objective, "method": method, "seed": seed},
        inputs=[
            *(paths.encoded(task), paths.intermediate(task), paths.task(task)),
            *(paths.pretrained(objective, seed), paths.TOKENIZER),
        ],
        outputs=[target, predicted, curve],
    ) as run:
        from stages.finetune import files, inapplicable
        from stages.finetune.run import checkpoint_of, finetune, method_of
        from stages.finetune.score import score
        from stages.training import device, memory, precision
        from stages.training.curve import write_curve
        from stages.training.observer import watching

        checkpoint = checkpoint_of(settings, task, objective, method, seed)
        with watching(f"finetune {task} {objective} {method}, seed {seed}", None, run) as observer:
            started = time.monotonic()
            try:
                tuned = finetune(settings, task, objective, method, seed, checkpoint, observer)
            except inapplicable.Inapplicable as reason:
                inapplicable.note((target, predicted), reason)
                write_curve(curve, [])
                print(f"{target.name} cannot be: {reason}")
                return
            cost = {"seconds": time.monotonic() - started, "peak_memory_bytes": memory.peak()}
        files.save(target, tuned, method, method_of(settings, method), paths.pretrained(objective, seed))
        write_curve(curve, tuned.curve)
        identity = {
            "objective": objective,
            "method": method,
            "compressor": "none",
            "seed": seed,
            "parameters": sum(parameter.numel() for parameter in tuned.model.parameters()),
            "trainable_parameters": tuned.trainable_parameters,
        }
        saved, dtype = files.load(target).to(device.find()), precision.compute_dtype(settings.engine)
        figures = score(saved, dtype, settings.finetune, task=task, folder=target, predicted=predicted, run=identity)
        checkpoint.discard()
        run.summary({**figures, **cost, "trainable_parameters": tuned.trainable_parameters})


if __name__ == "__main__":
    command.run(main)
