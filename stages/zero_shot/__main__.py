"""Which sentence of a minimal pair a pre-trained model finds likelier.

    python -m stages.zero_shot --source blimp --objective mlm --seed 0

Reads models/pretrained/<objective>-<seed> and data/raw/<source>, a table of sentence_good, sentence_bad, UID and, if
there is one, linguistics_term; writes data/metrics/zero_shot/<source>/<objective>-<seed>.json.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages import artifacts, command, params, paths, tracking


def main(argv: Sequence[str] | None) -> None:
    """Parse, score, write, log."""
    parser = command.parser("stages.zero_shot", __doc__)
    parser.add_argument("--source", required=True, help="a source of minimal pairs in params.yaml: data.sources")
    parser.add_argument("--objective", required=True, help="a name in params.yaml: pretrain.objectives")
    parser.add_argument("--seed", required=True, type=int, help="which of the objective's models")
    arguments = parser.parse_args(argv)
    source, objective, seed = arguments.source, arguments.objective, arguments.seed
    settings = params.load()

    target = paths.METRICS / "zero_shot" / source / f"{objective}-{seed}.json"
    with tracking.run(
        kind="zero_shot",
        name=f"zero-shot · {source} · {objective} · seed {seed}",
        params=settings.engine.model_dump(),
        tags={"source": source, "objective": objective, "seed": seed},
        inputs=[paths.raw(source), paths.pretrained(objective, seed)],
        outputs=[target],
    ) as run:
        from stages.zero_shot.run import summary, zero_shot

        result = zero_shot(settings, source, objective, seed)
        artifacts.write_json(target, result.model_dump())
        run.summary(summary(result))


if __name__ == "__main__":
    command.run(main)
