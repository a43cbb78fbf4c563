"""Entities of a text, marked where they stand, so that a model can be asked how they are related.

The marks are those of SemEval-2010 Task 8 (Hendrickx et al. 2010), written as words: ``<e1> Anna </e1> left <e2> Tver
</e2>`` (entity markers in the text: Baldini Soares et al. 2019, Matching the Blanks, §3.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from stages.corpus import words
from stages.errors import StageError

Span = tuple[int, int]
"""Numbers, from 0, of the first and the last word of an entity."""


def marked(batch: pa.RecordBatch, text: str, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Each row's text with its entities in marks; ``columns`` hold the ends of each.

    Raises:
        StageError: an entity is not within its text.
    """
    spans = [list(zip(*(batch[name].to_pylist() for name in pair), strict=True)) for pair in columns]
    texts = words.joined(batch[text])
    return [_marked((texts[row] or "").split(), [given[row] for given in spans]) for row in range(len(texts))]


def _marked(text: list[str], spans: Sequence[tuple[object, object]]) -> str:
    found = [_span(len(text), *span) for span in spans]
    before: list[list[str]] = [[] for _ in text]
    behind: list[list[str]] = [[] for _ in text]
    for number in sorted(range(len(found)), key=lambda number: (found[number][0], -found[number][1])):
        first, last = found[number]
        before[first].append(f"<e{number + 1}>")
        behind[last].insert(0, f"</e{number + 1}>")
    return " ".join(word for place, own in enumerate(text) for word in (*before[place], own, *behind[place]))


def _span(length: int, first: object, last: object) -> Span:
    try:
        ends = int(str(first)), int(str(last))
    except ValueError:
        ends = -1, -1
    if not 0 <= ends[0] <= ends[1] < length:
        raise StageError(
            f"an entity from word {first} to word {last} in a text of {length} words: `marks` name the columns of the "
            "numbers, from 0, of its first and its last word"
        )
    return ends
