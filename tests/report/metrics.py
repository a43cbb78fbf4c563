"""Metrics as the stages before evaluation write them."""

from __future__ import annotations

from itertools import combinations, product
from math import exp

from stages import artifacts, paths
from stages.diagnose.schema import Attribution, Bin, Calibration, Diagnosis, Disturbed, Mistake, Swapped
from stages.params import Params
from stages.training.curve import write_curve


def write_pretraining(params: Params) -> None:
    """Curves and final figures; `scratch` has a single point."""
    for objective, seed in product(params.pretrain.objectives, params.seeds):
        steps = [0] if objective == "scratch" else range(200, 2001, 200)
        points = [point(objective, seed, step) for step in steps]
        write_curve(paths.CURVES / "pretrain" / f"{objective}-{seed}.csv", points)
        identity = {"objective": objective, "seed": seed, "split": "validation", "parameters": 1_841_280}
        figures = {key: value for key, value in points[-1].items() if key not in ("train_loss", "phase")}
        artifacts.write_json(paths.METRICS / "pretrain" / f"{objective}-{seed}.json", {**identity, **figures})


def point(objective: str, seed: int, step: int) -> dict[str, float]:
    floor = {"scratch": 6.0, "mlm": 5.9, "clm": 4.9}[objective] + 0.01 * seed
    loss = floor + 3 * exp(-step / 500)
    trained = {"train_loss": loss + 0.1} if step else {}
    figures = {"loss": loss, "perplexity": exp(loss), "bits_per_byte": loss / 2.9}
    return {"step": step, "tokens": 2048 * step, "flops": 5_000_000_000 * step, **trained, **figures, "phase": 0}


def write_texts(params: Params) -> None:
    """Statistics of the split and of the tokenizer."""
    names = ["corpus/train", "corpus/validation"]
    names += [f"{task}/{part}" for task in params.tasks for part in ("train", "validation", "test")]
    overlaps = {f"{one} & {other}": 0 for one, other in combinations(sorted(names), 2)}
    between_tasks = {pair: 0 for pair in overlaps if "corpus" not in pair}
    overlaps |= {f"corpus/train & {task}/train": 1234 for task in params.tasks}
    sizes = {"rows": 2000, "words": 400_000, "bytes": 3 << 20}
    labels = {"labels": {"negative": 990, "positive": 1010}}
    split = {
        "sets": {name: sizes if name.startswith("corpus") else sizes | labels for name in names},
        "removed": {"corpus": {"held_out": 321, "empty": 0}, "imdb/test": {"duplicate": 0, "empty": 0}},
        "overlaps": overlaps,
        "overlaps_found": between_tasks,
    }
    tokenizer = {"fertility": 1.352, "unknown_rate": 0.0, "bytes_per_token": 4.178, "vocab_size": 8192}
    artifacts.write_json(paths.METRICS / "split.json", split)
    artifacts.write_json(paths.METRICS / "tokenizer.json", tokenizer)


def write_diagnoses(params: Params) -> None:
    """What is inside each task's selected model; one text holds what markdown would take for markup."""
    bins = [Bin(examples=40, confidence=0.62, accuracy=0.55), Bin(examples=60, confidence=0.91, accuracy=0.85)]
    tokens = ["[CLS]", "a", "fine", "|", "`film`", "[SEP]"]
    for task in params.tasks:
        found = Diagnosis(
            task=task,
            model="clm-full-1",
            labels=["negative", "positive"],
            examples=100,
            calibration=Calibration(error=0.064, temperature=1.3, bins=bins),
            disturbed=[Disturbed(noise="typos", accuracy=0.7, drop=0.031, lower=0.01, upper=0.052, changed=0.1)],
            swapped=[
                Swapped(
                    groups=("female", "male"), label="positive", texts=40,
                    difference=-0.016, lower=-0.02, upper=-0.012, changed=0.05,
                )
            ],
            mistakes=[
                Mistake(id="1", text="a | b <i>*c*</i> " * 12, label="positive", prediction="negative", confidence=0.99)
            ],
            attributions=[
                Attribution(
                    label="positive", prediction="positive", tokens=tokens,
                    scores=[0, 0.1, 2.5, -0.25, -1.5, 0], gap=0.01, attention=[[[1 / 6] * 6] * 6] * 2,
                )
            ],
        )  # fmt: skip
        artifacts.write_json(paths.METRICS / "diagnose" / f"{task}.json", found.model_dump())
