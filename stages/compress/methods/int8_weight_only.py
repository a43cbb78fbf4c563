"""Weights in int8 in groups (`stages.compress.groups`)."""

from __future__ import annotations

from stages.compress.weight_only import WeightOnly


class Int8WeightOnly(WeightOnly):
    """A weight in a byte."""

    bits = 8
