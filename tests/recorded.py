"""What a stage notes in ``run.json``, for tests of those that read it."""

from __future__ import annotations

from typing import Any


def noted(**changes: Any) -> dict[str, Any]:
    """Of the model ``mlm-full-0`` of IMDb, but for the changes."""
    whole = {
        "objective": "mlm",
        "task": "imdb",
        "method": "full",
        "compressor": "none",
        "seed": 0,
        "split": "test",
        "family": "classification",
        "metric": "accuracy",
        "parameters": 1000,
        "trainable_parameters": 1000,
        "bytes": 4000,
        "validation": {"accuracy": 0.5},
    }
    return whole | changes
