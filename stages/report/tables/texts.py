"""The sets of texts: their sizes, what was removed from them, and what any two share."""

from __future__ import annotations

from collections.abc import Collection

from stages.params import Params
from stages.report.formats import code, listed, mebibytes
from stages.report.inputs import Split
from stages.report.tables import Table

TRAIN, HELD_OUT = "train", ("validation", "test")
"""Splits; any other set of a task is a further one, and held out as well."""


def sets(split: Split) -> Table:
    """One row a set."""
    return Table(
        header=["set", "labels", "texts", "words", "size"],
        rows=[
            [
                code(name),
                ", ".join(f"{label} {rows:,}" for label, rows in item.labels.items()),
                f"{item.rows:,}",
                f"{item.words:,}",
                mebibytes(item.bytes),
            ]
            for name, item in split.sets.items()
        ],
        names=2,
    )


def removed(split: Split) -> Table:
    """Texts that were taken out of a set, by reason; sets and reasons without any are left out."""
    some = {name: counts for name, counts in split.removed.items() if any(counts.values())}
    reasons = sorted({reason for counts in some.values() for reason, texts in counts.items() if texts})
    return Table(
        header=["set", *(reason.replace("_", " ") for reason in reasons)],
        rows=[[code(name), *(f"{counts.get(reason, 0):,}" for reason in reasons)] for name, counts in some.items()],
    )


def overlaps(split: Split, params: Params) -> Table:
    """Pairs of sets that share texts, as found and as left after the cut, and what it means."""
    sources = [params.sources[name] for name in params.data.sources]
    of_pairs = {task for source in sources if len(source.text) > 1 for task in source.tasks}
    pairs = [pair for pair in split.overlaps if split.overlaps[pair] or split.overlaps_found.get(pair)]
    return Table(
        header=["sets", "meaning", "found", "left"],
        rows=[
            [
                " and ".join(code(name) for name in pair.split(" & ")),
                meaning(pair, split.overlaps[pair], of_pairs),
                f"{split.overlaps_found[pair]:,}" if pair in split.overlaps_found else "–",
                f"{split.overlaps[pair]:,}",
            ]
            for pair in pairs
        ],
        names=2,
    )


def meaning(pair: str, left: int, of_pairs: Collection[str] = ()) -> str:
    """Whether shared texts touch a result; ``of_pairs`` are the tasks whose examples are two texts each."""
    names = [name.rsplit("/", 1) for name in pair.split(" & ")]
    if not left:
        return "shared texts were removed"
    if names[0][0] == names[1][0] and names[0][0] in of_pairs:
        return "by design: examples are pairs of texts, and no pair stands in both"
    held_out = [group for group, part in names if part != TRAIN and group != "corpus"]
    if all(part not in (TRAIN, "validation") for _, part in names) and any(part not in HELD_OUT for _, part in names):
        return "neither is trained on: one of them is a further set, which is answered whole"
    if held_out:
        return f"**held-out text of {listed(held_out)} stands in another set: do not trust its scores**"
    if any(group == "corpus" for group, _ in names):
        return "by design: the corpus is made of training texts, without their labels"
    return "training texts of two tasks; no test text is touched"
