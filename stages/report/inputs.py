"""All that the report is made from: metrics and curves of what `params.yaml` lists, checked on reading."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, FiniteFloat

from stages import artifacts, paths
from stages.diagnose.schema import Diagnosis
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
    tokens: int
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


class Benchmark(_Figures):
    """A row of ``reports/benchmarks/<benchmark>.csv``."""

    benchmark: str
    peer: str
    figure: str
    unit: str
    value: FiniteFloat
    ratio: FiniteFloat
    deviation: FiniteFloat | None = None
    peer_value: FiniteFloat | None = None
    peer_deviation: FiniteFloat | None = None


T = TypeVar("T")
S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Inputs:
    """Everything that could be read, in the order of `params.yaml`.

    Attributes:
        problems: what could not be, and why; the rest is as if the runs behind it had never been listed.
    """

    params: Params
    evaluations: list[Evaluation]
    pretraining: list[Pretraining]
    curves: dict[tuple[str, int], list[Point]]
    split: Split | None
    tokenizer: Tokenizer | None
    zero_shot: list[ZeroShot]
    diagnoses: list[Diagnosis] = field(default_factory=list)
    benchmarks: list[Benchmark] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(params: Params) -> Inputs:
    """Read all metrics: those that are missing, damaged, no numbers, or of other parameters, are problems."""
    runs, problems = list(product(params.pretrain.objectives, params.seeds)), Problems()
    sources = [(source, run) for source in params.zero_shot.sources for run in runs]
    return Inputs(
        params=params,
        evaluations=problems.without(_evaluation, [(params, task) for task in params.tasks]),
        pretraining=problems.without(_pretraining, runs),
        curves={run: curve for run in runs if (curve := problems.attempt(_curve, *run)) is not None},
        split=problems.attempt(_figures, Split, paths.METRICS / "split.json"),
        tokenizer=problems.attempt(_figures, Tokenizer, paths.METRICS / "tokenizer.json"),
        zero_shot=problems.without(_zero_shot, [(source, *run) for source, run in sources]),
        diagnoses=problems.without(_diagnosis, [(task,) for task in params.tasks]),
        benchmarks=[row for rows in problems.without(_benchmark, _measured()) for row in rows],
        problems=problems.found,
    )


class Problems:
    """What goes wrong in reading one file keeps none of the others from being read."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def attempt(self, read: Callable[..., T], *arguments: Any) -> T | None:
        """What ``read`` gives; None, with a problem more, if it cannot. No problem tells where the project lies."""
        try:
            return read(*arguments)
        except StageError as error:
            self.found.append(str(error).replace(f"{paths.ROOT}/", ""))
            return None

    def without(self, read: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> list[T]:
        """What ``read`` gives for each of several arguments, where it can."""
        return [found for call in calls if (found := self.attempt(read, *call)) is not None]


def _pretraining(objective: str, seed: int) -> Pretraining:
    return _figures(Pretraining, paths.METRICS / "pretrain" / f"{objective}-{seed}.json")


def _diagnosis(task: str) -> Diagnosis:
    return _figures(Diagnosis, paths.METRICS / "diagnose" / f"{task}.json")


def _measured() -> list[tuple[Path]]:
    return [(file,) for file in sorted((paths.REPORTS / "benchmarks").glob("*.csv"))]


def _benchmark(file: Path) -> list[Benchmark]:
    rows = ({name: cell for name, cell in row.items() if cell} for row in _table(file))  # of one turn no deviation
    return [
        parse(Benchmark, row | {"benchmark": file.stem}, f"{file}, row {place}") for place, row in enumerate(rows, 1)
    ]


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except UnicodeDecodeError:
        raise StageError(f"{path} is not UTF-8: remove it and make it again") from None


def _zero_shot(source: str, objective: str, seed: int) -> ZeroShot:
    return _figures(ZeroShot, paths.METRICS / "zero_shot" / source / f"{objective}-{seed}.json")


def _figures(schema: type[S], path: Path) -> S:
    return parse(schema, artifacts.read_json(path), str(path))


def _evaluation(params: Params, task: str) -> Evaluation:
    path = paths.METRICS / "evaluate" / f"{task}.json"
    evaluation = _figures(Evaluation, path)
    found = {(row.objective, row.method, row.seed) for row in evaluation.rows if row.compressor == NONE}
    found |= {(run.objective, run.method, run.seed) for run in evaluation.inapplicable if run.compressor == NONE}
    listed = set(product(params.pretrain.objectives, params.finetune.methods, params.seeds))
    tried = [evaluation.tried(model) for model in params.compress.models]
    compressed = all(sorted(names) == sorted(params.compress.compressors) for names in tried)
    if evaluation.task != task or found != listed or not compressed:
        raise StageError(f"{path} was not made with this params.yaml: run `dvc repro`")
    return evaluation


def _curve(objective: str, seed: int) -> list[Point]:
    """All evaluations; none of a checkpoint that was taken as it is, whose curve has no losses."""
    path = paths.CURVES / "pretrain" / f"{objective}-{seed}.csv"
    try:
        rows = _table(path)
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the pretrain stage writes it; run `dvc repro`") from None
    if not rows:
        raise StageError(f"{path} has no rows: remove it and run `dvc repro`")
    if "loss" not in rows[0] and rows[0].get("step") == "0":
        return []
    return [parse(Point, dict(row), f"{path}, row {number}") for number, row in enumerate(rows, start=1)]
