"""How MLflow shows the runs of stages beneath the run of the pipeline, or of the trial, that started them.

Whoever starts several stages names its own run to them by the environment variable ``PIPELINE_RUN_ID``: a flow by a
name of its own making, which is its run's tag ``pipeline``, for MLflow gives an id only once it has been imported; a
trial of a search by the id that its run has. A serial `dvc repro` has no such run: the runs of its stages stand alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stages.tracking import links

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "PIPELINE_RUN_ID"

KIND, TAG = "pipeline", "pipeline"
"""The experiment of the runs above, and the tag that they share with all runs beneath."""

PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"


def above() -> str:
    """What the run above is called; empty if there is none."""
    return os.environ.get(VARIABLE, "")


def tags() -> dict[str, str]:
    """What all runs beneath the same one share; nothing where there is none above."""
    return {TAG: above()} if above() else {}


def parent(client: MlflowClient, name: str) -> dict[str, str]:
    """The tag that puts a run beneath the one called `name`."""
    experiment = client.get_experiment_by_name(KIND)
    found = client.search_runs([experiment.experiment_id], _shared(name), max_results=1) if experiment else []
    return {PARENT: found[0].info.run_id if found else name}


def note(client: MlflowClient, name: str) -> dict[str, str]:
    """A description that leads to the runs beneath: the page of a run lists only those of its own experiment."""
    experiments = [item.experiment_id for item in client.search_experiments()]
    return {NOTE: f"[The runs of its stages]({links.runs(experiments, _shared(name))})"}


def _shared(name: str) -> str:
    return f"tags.{TAG} = '{name}'"
