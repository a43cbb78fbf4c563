"""The sets of parameters that lie in flows/: each is a whole params.yaml with what it says instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.workspace import Workspace
from stages import params, paths
from stages.finetune import methods

SETS = sorted(path.stem for path in (paths.ROOT / "flows").glob("*.yaml") if path.name != "search.yaml")


@pytest.mark.parametrize("name", SETS)
def test_it_is_valid(name: str, tmp_path: Path) -> None:
    """And names only what there is."""
    file = tmp_path / "params.yaml"
    file.write_bytes(Workspace(name).parameters())
    settings = params.load(file)
    for method in settings.finetune.methods:
        methods.get(method)
        assert method in settings.methods
    assert set(settings.compress.compressors) <= set(settings.compressors)


def test_every_method_is_run_by_one() -> None:
    listed = yaml.safe_load(Workspace("methods").parameters())["finetune"]["methods"]
    assert set(listed) == set(methods.METHODS)
