"""Pre-train one objective with one seed.

    python -m stages.pretrain --objective mlm --seed 0

Reads models/tokenizer, data/packed and data/gathered/<objective>; writes models/pretrained/<objective>-<seed>, its
learning curve under data/curves/pretrain and its metrics under data/metrics/pretrain. A run that was killed goes on
where it was. An entry that is a checkpoint of `checkpoints` and nothing else is taken as it is. NPROC_PER_NODE=2 shares
each batch between two processes, each on a GPU of its own (`stages.training.launch`).
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking
from stages.params import Params
from stages.training import launch


def main(argv: Sequence[str] | None) -> None:
    """Parse, train, write, log."""
    parser = command.parser("stages.pretrain", __doc__)
    parser.add_argument("--objective", required=True, help="a name in params.yaml: pretrain.objectives")
    parser.add_argument("--seed", required=True, type=int, help="seeds initial weights, order and masks")
    arguments = parser.parse_args(argv)
    name, seed = arguments.objective, arguments.seed
    settings = params.load()
    if launch.follows():
        _follow(settings, name, seed)
        return

    target = paths.pretrained(name, seed)
    curve = paths.CURVES / "pretrain" / f"{name}-{seed}.csv"
    metrics = paths.METRICS / "pretrain" / f"{name}-{seed}.json"
    with tracking.run(
        kind="pretrain",
        name=f"pretrain · {name} · seed {seed}",
        params={
            **settings.pretrain.model_dump(exclude={"objectives"}),
            **settings.model.sizes(),
            **settings.engine.model_dump(),
            **settings.objectives.get(name, {}),
        },
        tags={"objective": name, "seed": seed},
        inputs=[paths.TOKENIZER, paths.PACKED, paths.gathered(name)],
        outputs=[target, curve, metrics],
    ) as run:
        from stages.pretrain.run import Run, summary
        from stages.training.curve import write_curve
        from stages.training.observer import watching

        pretraining = Run(settings, name, seed)
        if pretraining.is_adopted:
            points, parameters = pretraining.adopt(target)
        else:
            with watching(f"pretrain {name}, seed {seed}", pretraining.tokens, run) as observer:
                points, parameters = pretraining.train(observer).save(target)
        figures = summary(points) | {"parameters": parameters}
        write_curve(curve, points)
        artifacts.write_json(metrics, {"objective": name, "seed": seed, "split": "validation", **figures})
        pretraining.discard()
        run.summary(figures)


def _follow(settings: Params, name: str, seed: int) -> None:
    """Train with the process that reports and writes."""
    from stages.pretrain.run import Run
    from stages.training.observer import Unwatched

    pretraining = Run(settings, name, seed)
    if not pretraining.is_adopted:
        pretraining.train(Unwatched())


if __name__ == "__main__":
    command.run(launch.in_processes(main, "stages.pretrain"))
