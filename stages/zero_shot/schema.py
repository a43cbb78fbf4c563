"""What `stages.zero_shot` writes: ``data/metrics/zero_shot/<source>/<objective>-<seed>.json``."""

from __future__ import annotations

from pydantic import FiniteFloat

from stages.params import Section


class Accuracy(Section):
    """Share of the pairs whose good sentence is scored higher; a tie counts half, and guessing gives 0.5.

    `lower` and `upper` bound the 95 % interval over `pairs` pairs: it speaks of this model, not of others trained with
    other seeds. Pairs of a paradigm differ in the same words, so that even untrained models may be far from 0.5.
    """

    accuracy: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    pairs: int


class Accuracies(Section):
    """Accuracies under one way to score.

    `overall` is the mean over paradigms, which is the figure that BLiMP reports (Warstadt et al. 2020, §5), and each of
    `phenomena` the mean over its paradigms. In `over_pairs`, the mean over all pairs, paradigms count by their size.
    """

    overall: Accuracy
    over_pairs: Accuracy
    phenomena: dict[str, Accuracy]
    paradigms: dict[str, Accuracy]


class ZeroShot(Section):
    """All of a model on a source; `equal_pairs` were left out. A model that scores no sentences has no `modes`."""

    objective: str
    seed: int
    source: str
    equal_pairs: int
    modes: dict[str, Accuracies]
