"""How numbers are written on the page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from stages.params import Budget

MINUS = "−"
ABSENT = "–"


def number(value: float, digits: int) -> str:
    """With thousands separators and a true minus sign; never a negative zero."""
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def spread(values: Sequence[float], digits: int, scale: float = 1) -> str:
    """Mean ± standard deviation (of a sample) over seeds; with one seed, the value alone."""
    scaled = [scale * value for value in values]
    text = number(mean(scaled), digits)
    return f"{text} ± {number(stdev(scaled), digits)}" if len(scaled) > 1 else text


def percent(share: float) -> str:
    """``77.8``: a share as a percentage, without the sign."""
    return number(100 * share, 1)


CORRELATIONS = ("matthews", "pearson", "spearman")


def score(value: float, metric: str) -> str:
    """``77.8 %``; of a correlation ``77.8``, as GLUE's leaderboard has it."""
    return percent(value) + ("" if metric in CORRELATIONS else " %")


def points(share: float) -> str:
    """``+4.2``: a difference of shares in percentage points."""
    text = percent(share)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def interval(lower: float, upper: float) -> str:
    """``+2.0 to +6.3``, in percentage points."""
    return f"{points(lower)} to {points(upper)}"


def p_value(p: float | None) -> str:
    """``0.012``; nothing is told apart below 0.001."""
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def count(values: Sequence[float]) -> str:
    """A whole number, or its range where seeds or tasks differ."""
    if not values:
        return ABSENT
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"


def scientific(value: float) -> str:
    """``2.00e13``; 0 is 0."""
    return f"{value:.2e}".replace("e+", "e") if value else "0"


def budget(settings: Budget) -> str:
    """The compute of each objective in words."""
    if settings.flops is not None:
        return f"{scientific(settings.flops)} floating-point operations"
    if settings.tokens is not None:
        return f"{settings.tokens:,} tokens"
    return f"{settings.seconds:g} seconds"


def mebibytes(size: float | None) -> str:
    """``3.41 MiB``."""
    if size is None:
        return ABSENT
    return f"{number(size / 2**20, 2)} MiB"


def code(name: str) -> str:
    """A name as markdown sets it."""
    return f"`{name}`"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
