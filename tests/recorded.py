"""What a stage notes in ``run.json``, for tests of those that read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages import record


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


def note_absence(folder: Path, **changes: Any) -> record.Absence:
    """Let a folder say that there cannot be the run ``mlm-full-0``, but for the changes."""
    told = {"objective": "mlm", "method": "full", "compressor": "none", "seed": 0, "reason": "it has no head"}
    absence = record.Absence(**told | changes)
    record.note([folder], absence)
    return absence
