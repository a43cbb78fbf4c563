"""Saved classifiers of 32 dimensions, one of each architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.compress import graph
from stages.model import classifier, imported
from tests.compress import traces
from tests.model import checkpoints, test_classifier, test_imported

CAUSAL = {"encoder": False, "decoder": True}


def save(folder: Path, kind: str) -> Path:
    """A classifier of ours, or on a checkpoint of another architecture."""
    folder.mkdir(exist_ok=True)
    if kind in CAUSAL:
        saved = test_classifier.save(folder, CAUSAL[kind])
        checkpoints.tokens("bert").save(str(saved / "tokenizer.json"))
        return saved
    base = checkpoints.save(folder / kind, kind)
    classifier.save(folder / "model", test_imported.classify(imported.load(base)), base)
    return folder / "model"


@pytest.fixture(params=[*CAUSAL, *checkpoints.KINDS])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save(tmp_path / request.param, request.param)


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever exports a model that was traced before is given that graph."""
    monkeypatch.setattr(graph, "trace", traces.remembered(graph.trace))
