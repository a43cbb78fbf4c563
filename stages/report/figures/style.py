"""How all figures look, and how they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluate.comparisons import BASELINE

INK, FAINT, GRID, PAPER = "#24292f", "#57606a", "#e4e7eb", "#ffffff"

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito (2008): told apart with every kind of colour vision."""

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.12,
    "svg.fonttype": "path",
    "svg.hashsalt": "report",
}
"""Text is drawn as outlines of the font that Matplotlib brings along, so that no host's fonts matter."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own Matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def colors(objectives: Sequence[str]) -> dict[str, str]:
    """A colour for each objective; the baseline is grey."""
    trained = [name for name in objectives if name != BASELINE]
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(trained)} | {BASELINE: "#6e7781"}


def save(figure: Figure, path: Path) -> None:
    """Write an SVG that holds neither date nor version."""
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def bare(axes: Axes) -> None:
    """Leave only horizontal position to be read: no frame, no vertical ticks, no horizontal grid."""
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
