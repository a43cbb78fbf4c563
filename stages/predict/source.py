"""Where a model lies: in a folder, or in MLflow, from where it is fetched."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.errors import StageError

URI = re.compile(r"^[a-z][a-z0-9+.-]*:/")

ARTIFACT = "model"
"""What the folder is called among the artifacts of a model in MLflow."""


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """The folder of the model called ``name``, a path or an MLflow URI; it may go when the block ends.

    Raises:
        StageError: MLflow has no such model, or it is none of this project.
    """
    if not URI.match(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield _fetched(name, Path(temporary))


def _fetched(uri: str, target: Path) -> Path:
    from stages.tracking import store  # before MLflow, which reads its settings when it is imported

    store.connect()
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    where = store.uri()
    mlflow.set_tracking_uri(where)  # an alias is looked up there, whatever the call below is told
    try:
        fetched = mlflow.artifacts.download_artifacts(uri, dst_path=str(target), tracking_uri=where, registry_uri=where)
        flavor = Model.load(fetched).flavors["python_function"]
        return Path(fetched) / flavor["artifacts"][ARTIFACT]["path"]
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StageError(f"{uri} cannot be fetched from {where} ({reason}): `make ui` shows what there is") from None
    except KeyError:
        raise StageError(f"{uri} is a model of something else: name one that stages.register has logged") from None
