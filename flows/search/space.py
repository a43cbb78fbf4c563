"""The file that says what is searched, for what, and for how long: an unknown key or a bad value is named.

    study: imdb_full                    # its name in Optuna's database and in MLflow; another search needs another one
    stages: [finetune@mlm-imdb-full-0]  # what a trial runs, with all that they need
    goal: {file: data/curves/finetune/imdb/mlm-full-0.csv, key: score, direction: maximize, point: best}
    parameters:
      methods.full.learning_rate: {kind: float, low: 0.0001, high: 0.003, log: true}
      methods.full.epochs: {kind: int, low: 1, high: 5}
    trials: 12

flows/search.yaml has the rest: fixed parameters, pruning, the seed. The first trial is params.yaml as it is. A search
that was stopped goes on with the trials that are left; what was run before with the same parameters comes from DVC's
cache. Trials are runs in the MLflow experiment `search`, and print to .state/search/<study>/trial-<number>.log.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from stages import params
from stages.errors import StageError
from stages.params import Name, Section

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner

DIGITS = 4
"""Significant digits of a float that is drawn: the winner is to be written down, and to be what was run."""

Scalar = bool | int | float | str

Key = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
"""A key of params.yaml, its parts joined with dots."""


class Float(Section):
    """A number from ``low`` to ``high``, in steps if ``step`` is given, even over its logarithm with ``log``."""

    kind: Literal["float"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.low, self.high, self.log, stepped=self.step is not None)
        return self

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, self.log, self.step)

    def settled(self, drawn: Any) -> float:
        """The value that is run: without digits that nobody would write."""
        return min(max(float(f"{drawn:.{DIGITS}g}"), self.low), self.high)

    def holds(self, value: Any) -> bool:
        """Whether a trial may have exactly this value."""
        return _is_in_range(self, value) and self.settled(value) == value

    @property
    def corners(self) -> tuple[Scalar, ...]:
        """Values that are checked before anything runs."""
        return self.low, self.high


class Int(Section):
    """A whole number from ``low`` to ``high``, both included."""

    kind: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] = 1
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.low, self.high, self.log, stepped=self.step != 1)
        return self

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, self.log, self.step)

    def settled(self, drawn: Any) -> int:
        """The value that is run."""
        return int(drawn)

    def holds(self, value: Any) -> bool:
        """Whether a trial may have exactly this value."""
        return isinstance(value, int) and _is_in_range(self, value)

    @property
    def corners(self) -> tuple[Scalar, ...]:
        """Values that are checked before anything runs."""
        return self.low, self.high


class Categorical(Section):
    """One of several values that have no order."""

    kind: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=2)]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices: each once")
        return self

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def settled(self, drawn: Any) -> Scalar:
        """The value that is run."""
        return next(choice for choice in self.choices if choice == drawn)

    def holds(self, value: Any) -> bool:
        """Whether a trial may have exactly this value."""
        return value in self.choices

    @property
    def corners(self) -> tuple[Scalar, ...]:
        """Values that are checked before anything runs."""
        return tuple(self.choices)


Parameter = Annotated[Float | Int | Categorical, Field(discriminator="kind")]


class Goal(Section):
    """What is maximised or minimised, on validation: ``key`` of ``file``, which one of the stages makes.

    Of a curve (``.csv``) ``key`` is a column, and ``point`` says which of its points counts: the ``best`` one, where
    the stage keeps the best weights, or the ``last``. Of a metric (``.json``) it is a key, its parts joined with dots;
    the file must say ``split: validation``, or the key begin with ``validation``.
    """

    file: Annotated[str, Field(pattern=r"\.(csv|json)$")]
    key: str
    direction: Literal["maximize", "minimize"]
    point: Literal["best", "last"] | None = None

    @model_validator(mode="after")
    def _points_are_of_curves(self) -> Self:
        if self.is_curve and self.point is None:
            raise ValueError("point: of a curve it must be said which point counts: best or last")
        if self.point and not self.is_curve:
            raise ValueError("point: only a curve (.csv) has points")
        if self.is_curve and self.key in NOT_HELD_OUT:
            raise ValueError(f"key: {self.key} is not measured on validation: name another column")
        return self

    @property
    def is_curve(self) -> bool:
        """Whether the value has a way there, which can be watched."""
        return self.file.endswith(".csv")


NOT_HELD_OUT = {"step", "tokens", "flops", "train_loss", "phase"}
"""Columns of a curve that say what was spent, or how training itself went."""


class Median(Section):
    """A trial ends whose best point so far is worse than the median of the others' at the same point.

    Only once ``after_trials`` trials are complete, and never at the first ``after_points`` of its points.
    """

    kind: Literal["median"]
    after_trials: Annotated[int, Field(ge=1)] = 4
    after_points: Annotated[int, Field(ge=0)] = 0

    def pruner(self) -> BasePruner:
        """As Optuna has it."""
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.after_trials, n_warmup_steps=self.after_points + 1)


class Halving(Section):
    """Of the trials that reach a rung only one in ``factor`` goes on; rungs are at ``first`` points, times the factor.

    Successive halving, asynchronously (Li et al. 2018, ASHA).
    """

    kind: Literal["halving"]
    first: Annotated[int, Field(ge=1)] = 1
    factor: Annotated[int, Field(ge=2)] = 3

    def pruner(self) -> BasePruner:
        """As Optuna has it."""
        from optuna.pruners import SuccessiveHalvingPruner

        return SuccessiveHalvingPruner(min_resource=self.first, reduction_factor=self.factor)


class Space(Section):
    """The whole file.

    ``fixed`` are further parameters that all trials have instead of those of params.yaml. The first trial has the
    values of params.yaml, so that the search never ends worse than it began; the next ``random`` ones are drawn evenly,
    for TPE to have something to go by. The same ``seed`` gives the same trials, one slot at a time.
    """

    study: Name
    stages: Annotated[list[str], Field(min_length=1)]
    goal: Goal
    parameters: Annotated[dict[Key, Parameter], Field(min_length=1)]
    fixed: dict[Key, Scalar | list[Scalar]] = Field(default={})
    trials: Annotated[int, Field(ge=1)]
    random: Annotated[int, Field(ge=1)] = 5
    pruner: Annotated[Median | Halving, Field(discriminator="kind")] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if both := sorted(set(self.parameters) & set(self.fixed)):
            raise ValueError(f"fixed: {', '.join(both)} is searched: leave it out of one of the two")
        if self.pruner and not self.goal.is_curve:
            raise ValueError("pruner: it needs a goal that is a curve (.csv), to look at on the way")
        return self

    def settings(self, drawn: dict[str, Any]) -> dict[str, Scalar]:
        """What a trial's parameters are set to, by key of params.yaml, in the order of the file."""
        return {key: parameter.settled(drawn[key]) for key, parameter in self.parameters.items()}


def load(file: Path) -> Space:
    """Read and check the file.

    Raises:
        StageError: it is missing, is not YAML, or a key is unknown or has a bad value.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{file} is missing: it says what is searched, as flows/search.yaml does") from None
    except yaml.YAMLError as error:
        raise StageError(f"{file} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise StageError(f"{file} must hold keys and values")
    return params.parse(Space, content, str(file))


def _is_in_range(parameter: Float | Int, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not parameter.low <= value <= parameter.high:
        return False
    steps = (value - parameter.low) / parameter.step if parameter.step else 0
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def _check_range(low: float, high: float, log: bool, *, stepped: bool) -> None:
    if low >= high:
        raise ValueError(f"low: {low:g} must be below high, which is {high:g}")
    if log and low <= 0:
        raise ValueError(f"low: {low:g} has no logarithm: let it be above 0, or leave log out")
    if log and stepped:
        raise ValueError("step: there are no even steps over a logarithm: leave one of the two out")
