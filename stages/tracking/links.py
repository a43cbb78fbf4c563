"""Addresses in MLflow's UI, which has its own routes behind a ``#``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from stages.tracking import views

PORT = 5000
"""Of the UI on this machine, unless it is given another."""

TRAINING = {"workflowType": "machine_learning"}
"""By itself an experiment opens on traces of agents."""

CHARTS = {"compareRunsMode": "CHART"}
"""Runs side by side."""


def address(port: int = PORT) -> str:
    """Where the UI is."""
    return f"http://127.0.0.1:{port}/"


def run(experiment: str, run_id: str) -> str:
    """The page of one run."""
    return f"#/experiments/{experiment}/runs/{run_id}"


def runs(experiments: Sequence[str], wanted: str = "", charts: bool = False) -> str:
    """The list of those runs of one or several experiments that the filter `wanted` lets through."""
    query = TRAINING | (CHARTS if charts else {}) | ({"searchFilter": wanted} if wanted else {})
    if len(experiments) == 1:
        query |= {} if wanted or charts else {"viewStateShareKey": views.NAME}  # which a filter would rule out
        return f"#/experiments/{experiments[0]}/runs?{urlencode(query)}"
    return f"#/compare-experiments/s?{urlencode({'experiments': json.dumps(list(experiments))} | query)}"
