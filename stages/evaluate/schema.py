"""What `stages.evaluate` writes and `stages.report` reads: ``data/metrics/evaluate/<task>.json``."""

from __future__ import annotations

from pydantic import FiniteFloat

from stages import record
from stages.params import Section
from stages.paths import BEST
from stages.record import Absence

NONE = record.NONE
"""The compressor of an uncompressed model, and the split of a figure that no split decides."""


class Row(Section):
    """One measured value; its fields are the columns of ``reports/results.csv``.

    `lower` and `upper` bound the 95 % interval over `examples` test examples; all three are empty for
    a figure that is counted rather than estimated.
    """

    objective: str
    task: str
    method: str
    compressor: str
    seed: int
    split: str
    metric: str
    value: int | FiniteFloat
    lower: FiniteFloat | None = None
    upper: FiniteFloat | None = None
    examples: int | None = None


class Flag(Section):
    """A run whose numbers must not be read like the others', and why."""

    objective: str
    method: str
    compressor: str
    seed: int
    reason: str


class SeedDifference(Section):
    """The difference with one seed, and of classes the p-value of the exact McNemar test on its test examples."""

    seed: int
    difference: FiniteFloat
    p: FiniteFloat | None


class Comparison(Section):
    """Whether `objective` differs from `against` under one tuning method.

    `difference` is that of the means over seeds. `lower` and `upper` bound its 95 % interval over
    seeds and examples. `p` belongs to the same estimate, `p_holm` is corrected for all comparisons
    of the task; with a single seed there is neither, for nothing tells how much seeds differ.
    `detectable` is the smallest true difference that these seeds and examples would have found four times in five,
    before correction. `carried` says whether the report may claim the difference (`stages.evaluate.comparisons`).
    """

    metric: str
    method: str
    objective: str
    against: str
    difference: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    p: FiniteFloat | None
    p_holm: FiniteFloat | None
    detectable: FiniteFloat | None
    seeds: list[SeedDifference]
    carried: bool


class Compression(Section):
    """What a compressor leaves of one model: the difference to the model it was made from.

    The intervals are over examples: they speak of this model, not of others trained with other seeds. `retention` is
    the share of the score that is left, none where there was none; `p` is that of the paired test on the same examples,
    for metrics of classes. Bytes are those of the weights.
    """

    metric: str
    objective: str
    method: str
    seed: int
    compressor: str
    bytes_before: int
    bytes_after: int
    before: FiniteFloat
    after: FiniteFloat
    difference: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    retention: FiniteFloat | None
    retention_lower: FiniteFloat | None
    retention_upper: FiniteFloat | None
    p: FiniteFloat | None


class Order(Section):
    """Whether objectives stay in order when the best model of each is compressed (`stages.evaluate.order`).

    `rho` is Spearman's rank correlation of their scores before and after, its interval that over examples.
    """

    compressor: str
    objectives: int
    rho: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat


class Evaluation(Section):
    """All that was measured on one task; `metrics` of its test examples, of which `metric` is compared.

    `best` is the objective of the model that was chosen of all to be compressed, if one was.
    """

    task: str
    metrics: list[str]
    metric: str
    rows: list[Row]
    inapplicable: list[Absence]
    flags: list[Flag]
    comparisons: list[Comparison]
    compressions: list[Compression]
    orders: list[Order]
    best: str | None

    def of_model(self, model: str) -> list[Compression]:
        """What was made of one of `compress.models`; the best is that of its objective, too."""
        return [item for item in self.compressions if item.objective == self._objective(model)]

    def tried(self, model: str) -> list[str]:
        """The compressors that were asked to make it smaller, whether they could or not."""
        could_not = [item for item in self.uncompressible if item.objective == self._objective(model)]
        return [*(item.compressor for item in self.of_model(model)), *(item.compressor for item in could_not)]

    @property
    def uncompressible(self) -> list[Absence]:
        """What could not be made of any."""
        return [item for item in self.inapplicable if item.compressor != NONE]

    def _objective(self, model: str) -> str | None:
        return self.best if model == BEST else model

    @property
    def sets(self) -> list[str]:
        """What there are rows of: the task, and its further sets as ``<task>/<set>``."""
        return list(dict.fromkeys(row.task for row in self.rows))
