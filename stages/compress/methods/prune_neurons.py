"""Neurons of the feed-forward networks go, with their rows and columns (Molchanov et al. 2019, Importance Estimation).

Of a gated network a neuron is a value and its gate.
"""

from __future__ import annotations

from stages.compress.structured import Structured
from stages.compress.units import NEURONS


class PruneNeurons(Structured):
    """In every layer the same share."""

    layouts = NEURONS
    units = "neurons"
