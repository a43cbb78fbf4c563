"""Pre-train one objective with one seed.

    python -m stages.pretrain --objective mlm --seed 0

Reads models/tokenizer and data/packed; writes models/pretrained/<objective>-<seed>, its learning curve under
data/curves/pretrain and its metrics under data/metrics/pretrain. A run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, train, write, log."""
    parser = command.parser("stages.pretrain", __doc__)
    parser.add_argument("--objective", required=True, help="a name in params.yaml: pretrain.objectives")
    parser.add_argument("--seed", required=True, type=int, help="seeds initial weights, order and masks")
    arguments = parser.parse_args(argv)
    name, seed = arguments.objective, arguments.seed
    settings = params.load()

    target = paths.pretrained(name, seed)
    curve = paths.CURVES / "pretrain" / f"{name}-{seed}.csv"
    metrics = paths.METRICS / "pretrain" / f"{name}-{seed}.json"
    with tracking.run(
        kind="pretrain",
        name=f"pretrain · {name} · seed {seed}",
        params={
            **settings.pretrain.model_dump(exclude={"objectives"}),
            **settings.model.model_dump(),
            **settings.engine.model_dump(),
            **settings.objectives.get(name, {}),
        },
        tags={"objective": name, "seed": seed},
        inputs=[paths.TOKENIZER, paths.PACKED],
        outputs=[target, curve, metrics],
    ) as run:
        from stages.model import files
        from stages.pretrain.run import checkpoint_of, pretrain, steps_of
        from stages.training.curve import write_curve
        from stages.training.observer import watching

        total = steps_of(settings.pretrain) * settings.pretrain.batch_size * settings.pretrain.sequence_length
        checkpoint = checkpoint_of(settings, name, seed)
        with watching(f"pretrain {name}, seed {seed}", total, run) as observer:
            result = pretrain(settings, name, seed, checkpoint, observer)
        figures = {key: value for key, value in result.curve[-1].items() if key != "train_loss"}
        figures["parameters"] = sum(parameter.numel() for parameter in result.model.parameters())
        files.save(target, result.model, tokenizer=paths.TOKENIZER)
        write_curve(curve, result.curve)
        artifacts.write_json(metrics, {"objective": name, "seed": seed, "split": "validation", **figures})
        checkpoint.discard()
        run.summary(figures)


if __name__ == "__main__":
    command.run(main)
