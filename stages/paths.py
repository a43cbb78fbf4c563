"""Where everything lies: the one place that knows the layout of data, models and reports.

`dvc.yaml` names the same paths; a test holds the two against each other.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARAMS = ROOT / "params.yaml"

DATA = ROOT / "data"
RAW = DATA / "raw"
CORPUS = DATA / "corpus"
CORPORA = DATA / "corpora"
TASKS = DATA / "tasks"
PACKED = DATA / "packed"
GATHERED = DATA / "gathered"
ENCODED = DATA / "encoded"
INTERMEDIATE = DATA / "intermediate"
CURVES = DATA / "curves"
PREDICTIONS = DATA / "predictions"
METRICS = DATA / "metrics"

MODELS = ROOT / "models"
TOKENIZER = MODELS / "tokenizer"
REPORTS = ROOT / "reports"

BEST = "best"
"""What a task's best model is called beside the best of single objectives."""

STATE = ROOT / ".state"
"""Local and disposable: tracking store, training checkpoints, logs, locks. Never a DVC out."""


def raw(source: str) -> Path:
    """Folder of parquet files, as fetched: ``data/raw/<source>``."""
    return RAW / source


def task(name: str) -> Path:
    """Folder of ``{train,validation,test}.parquet``, ``further/<set>.parquet`` and ``task.json``."""
    return TASKS / name


def gathered(objective: str) -> Path:
    """What an objective reads besides the corpus; an empty listing if that is nothing."""
    return GATHERED / objective


def encoded(name: str) -> Path:
    """Folder of `TokenStore` folders ``{train,validation,test}`` and ``further/<set>`` of a task."""
    return ENCODED / name


def intermediate(task: str) -> Path:
    """What a task's models are fitted to before they are fitted to it; a listing that says so if that is nothing."""
    return INTERMEDIATE / task


def pretrained(objective: str, seed: int) -> Path:
    """A pre-trained model."""
    return MODELS / "pretrained" / f"{objective}-{seed}"


def finetuned(task: str, objective: str, method: str, seed: int) -> Path:
    """A fine-tuned model."""
    return MODELS / "finetuned" / task / f"{objective}-{method}-{seed}"


def selected(task: str, model: str = BEST) -> Path:
    """The task's best fine-tuned model, chosen on validation; or the best of one objective."""
    return MODELS / "selected" / task / model


def compressed(task: str, model: str, compressor: str) -> Path:
    """What a compressor made of a selected model."""
    return MODELS / "compressed" / task / model / compressor


def compressed_predictions(task: str, model: str, compressor: str) -> Path:
    """What that answered."""
    return PREDICTIONS / "compressed" / task / model / compressor
