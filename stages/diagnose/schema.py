"""What `stages.diagnose` writes and `stages.report` reads: ``data/metrics/diagnose/<task>.json``."""

from __future__ import annotations

from pydantic import Field, FiniteFloat

from stages.params import Section


class Bin(Section):
    """Answers of about the same confidence: how many, how sure they are on average, and the share that is right."""

    examples: int
    confidence: FiniteFloat
    accuracy: FiniteFloat


class Calibration(Section):
    """``error`` is the expected calibration error, ``temperature`` what logits would have to be divided by."""

    error: FiniteFloat
    temperature: FiniteFloat
    bins: list[Bin]


class Disturbed(Section):
    """The share of right answers when texts are disturbed in one way, and by how much it falls, with its interval."""

    noise: str
    accuracy: FiniteFloat
    drop: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    changed: FiniteFloat
    """The share of answers that are other ones."""


class Swapped(Section):
    """What the answers to texts make of words for one group in the place of those for another.

    ``difference`` is that of the probabilities of ``label``, the first group less the second, with its interval.
    """

    groups: tuple[str, str]
    label: str
    texts: int
    difference: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    changed: FiniteFloat


class Mistake(Section):
    """A test example that is answered wrongly, and how surely."""

    id: str
    text: str
    label: str
    prediction: str
    confidence: FiniteFloat


class Attribution(Section):
    """What each token of a text adds to the logit of the answer, and of each layer who looks at whom.

    ``attention`` is (layers, tokens, tokens), the mean over heads; none of models that do not show it. ``gap`` is by
    how much the sum of all tokens misses the whole difference to a text of padding alone.
    """

    label: str
    prediction: str
    tokens: list[str]
    scores: list[FiniteFloat]
    gap: FiniteFloat
    attention: list[list[list[FiniteFloat]]] = Field(default_factory=list)


class Diagnosis(Section):
    """All of one task's selected model; without ``labels`` nothing of it is asked, and ``reason`` says why."""

    task: str
    model: str
    labels: list[str]
    reason: str = ""
    examples: int = 0
    calibration: Calibration | None = None
    disturbed: list[Disturbed] = Field(default_factory=list)
    swapped: list[Swapped] = Field(default_factory=list)
    mistakes: list[Mistake] = Field(default_factory=list)
    attributions: list[Attribution] = Field(default_factory=list)
