"""A model as MLflow keeps it: its folder, the code that reads it, a signature, an example."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from stages import paths
from stages.corpus.tables import TEXT_COLUMNS
from stages.model import classifier
from stages.predict import predictor
from stages.predict.source import ARTIFACT
from stages.tracking import store

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

EXPERIMENT = "register"

EXAMPLES = 2
"""Rows of validation that are kept as the example."""

REQUIREMENTS = (
    "accelerate", "mlflow", "numpy", "pandas", "peft", "pyarrow", "pydantic", "PyYAML", "safetensors", "scikit-learn",
    "tokenizers", "torch", "transformers",
)  # fmt: skip
"""What the code of an answer imports."""


def log(client: MlflowClient, task: str, folder: Path) -> ModelInfo:
    """Copy the model into the store.

    Raises:
        StageError: a file of it, or of the task, is missing or damaged.
    """
    import mlflow

    example = _example(task)
    mlflow.set_tracking_uri(store.uri())
    mlflow.set_experiment(experiment_id=store.experiment(client, EXPERIMENT))
    return mlflow.pyfunc.log_model(
        name=task,
        python_model=str(Path(__file__).with_name("served.py")),
        artifacts={ARTIFACT: str(folder)},
        code_paths=[str(paths.ROOT / "stages")],
        signature=_signature(list(example.columns), predictor.columns(classifier.load_config(folder))),
        input_example=example,
        pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in REQUIREMENTS],
    )


def _example(task: str) -> pd.DataFrame:
    with pq.ParquetFile(paths.task(task) / "validation.parquet") as file:
        columns = [name for name in TEXT_COLUMNS if name in file.schema_arrow.names]
        return next(file.iter_batches(EXAMPLES, columns=columns)).to_pandas()


def _signature(inputs: list[str], outputs: list[str]) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(
        Schema([ColSpec("string", name) for name in inputs]),
        Schema([ColSpec("string" if name == predictor.LABEL else "double", name) for name in outputs]),
    )
