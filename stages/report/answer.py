"""The answer in words, made from the numbers."""

from __future__ import annotations

from collections import Counter

from stages.evaluate.comparisons import BASELINE
from stages.evaluate.schema import Comparison, Compression, Evaluation, Order
from stages.report.formats import code, interval, listed, number, p_value, percent, points, score
from stages.report.standings import Standing


def headline(standings: list[Standing]) -> str:
    """Who leads how often, over all tasks and tuning methods."""
    if not standings:
        return "Nothing was evaluated."
    wins = Counter(standing.winner for standing in standings if standing.winner)
    of = f"{len(standings)} combination{'s' if len(standings) > 1 else ''} of task and tuning method"
    if not wins:
        return f"In none of {of} can a winner be told."
    leaders = listed([f"{code(name)} in {count}" for name, count in wins.most_common()])
    undecided = len(standings) - wins.total()
    rest = f"; in {undecided} no winner can be told" if undecided else ""
    return f"Over {of}, the lead is carried for {leaders}{rest}."


def verdict(standing: Standing) -> str:
    """What is known of one task and tuning method."""
    where = f"{standing.task}, {code(standing.method)}:"
    top = f"{score(standing.mean, standing.metric)} mean {standing.metric}"
    if standing.lead is None:
        return f"{where} {code(standing.best)} reaches {top}; no other objective was trained to compare it to."
    if standing.winner:
        first = f"**{code(standing.best)} leads** with {top}, {_lead(standing.lead)}."
    else:
        first = (
            f"**no winner can be told.** {code(standing.best)} has the highest mean ({top}), but its lead over "
            f"the runner-up is not carried: {_lead(standing.lead)}."
        )
    return " ".join([where, first, *_gains(standing)])


def _lead(lead: Comparison) -> str:
    return f"{points(lead.difference)} points over {code(lead.against)} ({_certainty(lead)})"


def _certainty(comparison: Comparison) -> str:
    """The interval and the p-value, and how many seeds they rest on."""
    seeds = len(comparison.seeds)
    bounds = f"95 % interval {interval(comparison.lower, comparison.upper)}"
    if comparison.p_holm is None:
        return f"{bounds} over examples only: one seed tells nothing of other seeds"
    p = p_value(comparison.p_holm)
    told = f"{bounds}, corrected p {p if p.startswith('<') else f'= {p}'}, {seeds} seeds"
    if comparison.carried or comparison.detectable is None:
        return told
    return f"{told}; less than {percent(comparison.detectable)} points could not be told"


def _gains(standing: Standing) -> list[str]:
    """What is carried against the baseline, a sentence each way; what the lead said is not repeated."""
    said = {standing.lead.objective, standing.lead.against} if standing.lead else set()
    gains = [gain for gain in standing.gains if {gain.objective, gain.against} != said]
    sentences = []
    for carried, verb in ((True, "is carried"), (False, "is not carried")):
        named = [f"{code(gain.objective)} ({points(gain.difference)})" for gain in gains if gain.carried == carried]
        if named:
            sentences.append(f"Against {code(BASELINE)}, the difference {verb} for {listed(named)}.")
    return sentences


def order_verdict(evaluation: Evaluation, order: Order) -> str:
    """What a compressor leaves of the order of objectives, and of the scores of each one's best model."""
    made = [item for item in evaluation.compressions if item.compressor == order.compressor]
    kept = [item.retention for item in made if item.retention is not None]
    scores = f"{percent(min(kept))} to {percent(max(kept))} % of their {evaluation.metric}, and " if kept else ""
    return (
        f"{evaluation.task}, {code(order.compressor)}: the best models of {order.objectives} objectives keep {scores}"
        f"their order by a rank correlation of {number(order.rho, 2)} "
        f"(95 % interval over examples {number(order.lower, 2)} to {number(order.upper, 2)})."
    )


def compression_verdict(evaluation: Evaluation, compression: Compression) -> str:
    """What one compressor leaves of one model."""
    model = f"{compression.objective}-{compression.method}-{compression.seed}"
    size = percent(compression.bytes_after / compression.bytes_before)
    bounds = f"95 % interval over examples {interval(compression.lower, compression.upper)}"
    kept, metric = compression.retention, compression.metric
    before, after = percent(compression.before), percent(compression.after)
    left = (
        f"had {before} and has {after} (× 100) {metric}" if kept is None else f"keeps {percent(kept)} % of its {metric}"
    )
    return (
        f"{evaluation.task}, {code(compression.compressor)}: {code(model)} {left} at "
        f"{size} % of its size ({points(compression.difference)} points, {bounds})."
    )
