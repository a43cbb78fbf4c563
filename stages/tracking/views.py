"""What MLflow's list of runs shows first: a view that each experiment carries as a tag, and that addresses name.

MLflow's own lists begin with who started a run and what it read. A view is kept as MLflow's button *Share* keeps one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "figures"
"""Of the view, in addresses."""

TAG = f"mlflow.sharedViewState.{NAME}"

TUNED = ("metrics/test.score", "metrics/validation.score")

COLUMNS: dict[str, tuple[str, ...]] = {
    "pipeline": ("metrics/stages/ran", "metrics/stages/restored", "metrics/stages/failed"),
    "tokenizer": ("metrics/fertility", "metrics/unknown_rate", "metrics/bytes_per_token"),
    "pretrain": ("tags/objective", "tags/seed", "metrics/loss", "metrics/bits_per_byte", "metrics/tokens"),
    "finetune": ("tags/task", "tags/objective", "tags/method", "tags/seed", *TUNED, "metrics/trainable_parameters"),
    "select": ("tags/task", "metrics/validation.accuracy"),
    "compress": ("tags/task", "tags/model", "tags/compressor", *TUNED),
    "search": ("tags/trial", "metrics/value", "tags/state"),
    "register": ("tags/task", "metrics/version", "metrics/champion"),
}
"""Of each experiment, by its name."""

LAST = "metrics/system/seconds"
"""What all have behind their own."""


def content(experiment: str) -> str:
    """The tag's value: its columns as MLflow's UI calls them."""
    columns = (column.partition("/") for column in (*COLUMNS.get(experiment, ()), LAST))
    return json.dumps({"selectedColumns": [f"{kind}.`{name}`" for kind, _, name in columns]})


def give(client: MlflowClient, experiment_id: str, experiment: str) -> None:
    """Have an experiment carry its view."""
    client.set_experiment_tag(experiment_id, TAG, content(experiment))
