"""What is inside the selected models: calibration, noise, groups, mistakes, attributions."""

from __future__ import annotations

from stages.diagnose.schema import Diagnosis, Disturbed, Swapped
from stages.report.formats import ABSENT, code, interval, number, percent
from stages.report.tables import Table, traced


def reliability(diagnoses: list[Diagnosis]) -> Table:
    """How far confidence is from the share of right answers."""
    return Table(
        header=["task", "model", "test examples", "calibration error", "temperature"],
        rows=[
            [
                item.task,
                code(item.model),
                *_traced(
                    item,
                    f"{item.examples:,}",
                    percent(item.calibration.error),
                    number(item.calibration.temperature, 2),
                ),
            ]
            for item in diagnoses
            if item.calibration
        ],
        names=2,
    )


def noise(diagnoses: list[Diagnosis]) -> Table:
    """Accuracy under every noise, and what it loses, in points."""
    return Table(
        header=["task", "noise", "accuracy", "loss", "95 % interval", "answers changed"],
        rows=[
            [
                item.task,
                each.noise,
                *_traced(item, percent(each.accuracy), *_effect(each.drop, each)),
            ]
            for item in diagnoses
            for each in item.disturbed
        ],
        names=2,
    )


def groups(diagnoses: list[Diagnosis]) -> Table:
    """By how much the probability of a label is higher for the first group than for the second, in points."""
    return Table(
        header=["task", "label", "groups", "texts", "difference", "95 % interval", "answers changed"],
        rows=[
            [
                item.task,
                each.label,
                " against ".join(each.groups),
                *_traced(item, f"{each.texts:,}", *_effect(each.difference, each)),
            ]
            for item in diagnoses
            for each in item.swapped
        ],
        names=3,
    )


def _traced(item: Diagnosis, *numbers: str) -> list[str]:
    return [traced(number, f"diagnose@{item.task}") for number in numbers]


def _effect(mean: float, found: Disturbed | Swapped) -> tuple[str, str, str]:
    """What was done to texts did: in points, with its interval, and to how many answers."""
    return percent(mean), interval(found.lower, found.upper), f"{percent(found.changed)} %"


def mistakes(diagnoses: list[Diagnosis]) -> Table:
    """The surest first."""
    return Table(
        header=["task", "text", "label", "answer", "confidence"],
        rows=[
            [
                item.task,
                _cell(each.text),
                each.label,
                each.prediction,
                *_traced(item, f"{percent(each.confidence)} %"),
            ]
            for item in diagnoses
            for each in item.mistakes
        ],
        names=4,
    )


def attributions(diagnoses: list[Diagnosis], count: int = 4) -> Table:
    """Of each text the tokens that speak for the answer most, and against it."""
    return Table(
        header=["task", "text", "label", "answer", "for it", "against it"],
        rows=[
            [
                item.task,
                _cell(" ".join(each.tokens)),
                each.label,
                each.prediction,
                _strongest(each.tokens, each.scores, count),
                _strongest(each.tokens, [-score for score in each.scores], count),
            ]
            for item in diagnoses
            for each in item.attributions
        ],
        names=6,
    )


def _strongest(tokens: list[str], scores: list[float], count: int) -> str:
    order = sorted((place for place in range(len(tokens)) if scores[place] > 0), key=lambda place: -scores[place])
    return ", ".join(_cell(tokens[place]) for place in order[:count]) or ABSENT


def _cell(text: str) -> str:
    """What cannot break a table or become markup."""
    for mark in ("\\", "|", "<", "`", "*", "_", "[", "]"):
        text = text.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return " ".join(text.split())
