from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages.params import Params
from tests.evaluate import made


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which all listed runs exist."""
    folder = tmp_path_factory.mktemp("predictions")
    with pytest.MonkeyPatch.context() as monkeypatch:
        made.redirect(monkeypatch, folder)
        made.write_predictions(made.settings())
    return folder


@pytest.fixture
def settings(predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Parameters whose runs all exist, in a copy of that project to be spoiled at will."""
    shutil.copytree(predictions, tmp_path, dirs_exist_ok=True)
    made.redirect(monkeypatch, tmp_path)
    return made.settings()
