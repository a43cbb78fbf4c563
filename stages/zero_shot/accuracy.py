"""How often the good sentence of a pair has the higher score, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from stages.evaluate.bootstrap import LEVEL
from stages.zero_shot.pairs import Pair
from stages.zero_shot.schema import Accuracies, Accuracy
from stages.zero_shot.scoring import Scores


def accuracies(pairs: Sequence[Pair], good: Scores, bad: Scores) -> Accuracies:
    """Accuracies of the pairs whose sentences have these scores."""
    frame = pd.DataFrame(pairs, columns=Pair._fields).assign(right=np.where(good == bad, 0.5, good > bad))
    paradigms = _paradigms(frame)
    return Accuracies(
        overall=mean(list(paradigms.values())),
        over_pairs=mean(list(paradigms.values()), weights=[each.pairs for each in paradigms.values()]),
        phenomena={str(name): mean(list(_paradigms(part).values())) for name, part in frame.groupby("phenomenon")},
        paradigms=paradigms,
    )


def _paradigms(frame: pd.DataFrame) -> dict[str, Accuracy]:
    return {str(name): proportion(right.to_numpy()) for name, right in frame.groupby("paradigm")["right"]}


def proportion(right: NDArray[np.float64]) -> Accuracy:
    """The mean of answers between 0 and 1 with Wilson's interval (1927), which SciPy has for whole numbers only."""
    share, pairs, z = float(right.mean()), len(right), float(ndtri((1 + LEVEL) / 2))
    centre, shrink = share + z**2 / (2 * pairs), 1 + z**2 / pairs
    margin = z * math.sqrt(share * (1 - share) / pairs + (z / (2 * pairs)) ** 2)
    lower, upper = np.clip([(centre - margin) / shrink, (centre + margin) / shrink], [0, share], [share, 1]).tolist()
    return Accuracy(accuracy=share, lower=lower, upper=upper, pairs=pairs)


def mean(parts: Sequence[Accuracy], weights: Sequence[float] | None = None) -> Accuracy:
    """The weighted mean of independent accuracies, and an interval made of theirs.

    The distance of each bound to the mean is the root of the squared distances of the parts' bounds, weighted (Zou,
    Huang & Zhang 2009, A note on confidence interval estimation for a linear function of binomial proportions).
    """
    share = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=np.float64)
    share /= share.sum()
    values, lower, upper = np.array([(part.accuracy, part.lower, part.upper) for part in parts]).T
    centre = float(share @ values)
    return Accuracy(
        accuracy=centre,
        lower=centre - float(np.linalg.norm(share * (values - lower))),
        upper=centre + float(np.linalg.norm(share * (upper - values))),
        pairs=sum(part.pairs for part in parts),
    )
