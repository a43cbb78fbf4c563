"""Weights in int4 in groups (`stages.compress.groups`)."""

from __future__ import annotations

from stages.compress.weight_only import WeightOnly


class Int4WeightOnly(WeightOnly):
    """Two weights in a byte."""

    bits = 4
