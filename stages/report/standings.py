"""Who leads under a tuning method, and whether the lead over the runner-up is carried."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from stages.evaluate.comparisons import BASELINE
from stages.evaluate.schema import Comparison, Evaluation
from stages.report.results import Results


@dataclass(frozen=True)
class Standing:
    """The objective whose mean of the task's metric is highest, and its comparison with the second, if there is one."""

    task: str
    method: str
    metric: str
    best: str
    mean: float
    lead: Comparison | None
    gains: list[Comparison]
    """Every objective's comparison with the baseline."""

    @property
    def winner(self) -> str | None:
        """The best objective, if its lead is carried."""
        return self.best if self.lead is not None and self.lead.carried else None


def standing(evaluation: Evaluation, results: Results, objectives: list[str], method: str) -> Standing | None:
    """The standing of one task and tuning method; none if the method fits no objective."""
    means = {name: mean(values) for name in objectives if (values := _values(results, name, evaluation, method))}
    ranked = sorted(means, key=lambda name: -means[name])
    if not ranked:
        return None
    comparisons = [comparison for comparison in evaluation.comparisons if comparison.method == method]
    return Standing(
        task=evaluation.task,
        method=method,
        metric=evaluation.metric,
        best=ranked[0],
        mean=means[ranked[0]],
        lead=next((_seen_from(ranked[0], item) for item in comparisons if _are(item, ranked[:2])), None),
        gains=[item for item in comparisons if item.against == BASELINE],
    )


def _values(results: Results, objective: str, evaluation: Evaluation, method: str) -> list[float]:
    return [row.value for row in results.cell(objective, evaluation.task, method, evaluation.metric)]


def _are(comparison: Comparison, names: list[str]) -> bool:
    return {comparison.objective, comparison.against} == set(names)


def _seen_from(objective: str, comparison: Comparison) -> Comparison:
    """The same comparison with `objective` first."""
    if comparison.objective == objective:
        return comparison
    turned = [seed.model_copy(update={"difference": -seed.difference}) for seed in comparison.seeds]
    return comparison.model_copy(
        update={
            "objective": comparison.against,
            "against": comparison.objective,
            "difference": -comparison.difference,
            "lower": -comparison.upper,
            "upper": -comparison.lower,
            "seeds": turned,
        }
    )
