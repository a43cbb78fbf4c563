"""Flows that deployments call (prefect.yaml), besides that over the graph."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from flows import refresh as refreshing


@flow(name="refresh", persist_result=False)
def refresh(workers: int = 2) -> None:
    """As `python -m flows refresh`."""
    for line in refreshing.refresh(workers):
        get_run_logger().info(line)
