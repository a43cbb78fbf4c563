"""All that the report is made from: metrics and curves of what `params.yaml` lists, checked on reading."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, Field, FiniteFloat

from stages import artifacts, paths
from stages.errors import StageError
from stages.evaluate.schema import NONE, Evaluation
from stages.params import Params, Section, parse
from stages.zero_shot.schema import ZeroShot


class _Figures(Section):
    """Figures of another stage; those that the report does not show are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Pretraining(_Figures):
    """A pre-trained model on held-out text: its objective's own loss in nats, and what the budget bought.

    Perplexity and bits per byte are left out where the objective is no likelihood of tokens. A run that went on to a
    further corpus has its loss on the first one, and by how much that rose meanwhile.
    """

    objective: str
    seed: int
    split: str
    loss: FiniteFloat | None = None
    perplexity: FiniteFloat | None = None
    bits_per_byte: FiniteFloat | None = None
    earlier_loss: FiniteFloat | None = None
    forgotten: FiniteFloat | None = None
    flops: int
    tokens: int
    step: int
    parameters: int


class Point(_Figures):
    """One evaluation of a pre-training run; what another phase of it lost cannot be compared."""

    phase: int
    flops: int
    loss: FiniteFloat


class TextSet(_Figures):
    """One set of texts; `labels` counts the rows of each class."""

    rows: int
    words: int
    bytes: int
    labels: dict[str, int] = Field(default_factory=dict)


class Split(_Figures):
    """What the split stage cut, removed, and counted as shared between sets."""

    sets: dict[str, TextSet]
    removed: dict[str, dict[str, int]]
    overlaps: dict[str, int]
    overlaps_found: dict[str, int]


class Tokenizer(_Figures):
    """How the vocabulary fits the corpus's validation text."""

    fertility: FiniteFloat
    unknown_rate: FiniteFloat
    bytes_per_token: FiniteFloat
    vocab_size: int


T = TypeVar("T", bound=Section)


@dataclass(frozen=True)
class Inputs:
    """Everything, in the order of `params.yaml`."""

    params: Params
    evaluations: list[Evaluation]
    pretraining: list[Pretraining]
    curves: dict[tuple[str, int], list[Point]]
    split: Split
    tokenizer: Tokenizer
    zero_shot: list[ZeroShot]


def read(params: Params) -> Inputs:
    """Read all metrics.

    Raises:
        StageError: a file is missing, damaged, holds what is not a number, or was made with other
            parameters.
    """
    runs = list(product(params.pretrain.objectives, params.seeds))
    return Inputs(
        params=params,
        evaluations=[_evaluation(params, task) for task in params.tasks],
        pretraining=[_figures(Pretraining, paths.METRICS / "pretrain" / "{}-{}.json".format(*run)) for run in runs],
        curves={run: _curve(paths.CURVES / "pretrain" / "{}-{}.csv".format(*run)) for run in runs},
        split=_figures(Split, paths.METRICS / "split.json"),
        tokenizer=_figures(Tokenizer, paths.METRICS / "tokenizer.json"),
        zero_shot=[
            _figures(ZeroShot, paths.METRICS / "zero_shot" / source / "{}-{}.json".format(*run))
            for source in params.zero_shot.sources
            for run in runs
        ],
    )


def _figures(schema: type[T], path: Path) -> T:
    return parse(schema, artifacts.read_json(path), str(path))


def _evaluation(params: Params, task: str) -> Evaluation:
    path = paths.METRICS / "evaluate" / f"{task}.json"
    evaluation = _figures(Evaluation, path)
    found = {(row.objective, row.method, row.seed) for row in evaluation.rows if row.compressor == NONE}
    found |= {(run.objective, run.method, run.seed) for run in evaluation.inapplicable}
    listed = set(product(params.pretrain.objectives, params.finetune.methods, params.seeds))
    compressors = [compression.compressor for compression in evaluation.compressions]
    if evaluation.task != task or found != listed or compressors != params.compress.compressors:
        raise StageError(f"{path} was not made with this params.yaml: run `dvc repro`")
    return evaluation


def _curve(path: Path) -> list[Point]:
    """All evaluations; none of a checkpoint that was taken as it is, whose curve has no losses."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the pretrain stage writes it; run `dvc repro`") from None
    if not rows:
        raise StageError(f"{path} has no rows: remove it and run `dvc repro`")
    if "loss" not in rows[0] and rows[0].get("step") == "0":
        return []
    return [parse(Point, dict(row), f"{path}, row {number}") for number, row in enumerate(rows, start=1)]
