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


@pytest.mark.parametrize("name", ["methods", "glue"])
def test_what_full_has_pretrained_is_taken_from_the_cache(name: str) -> None:
    """For all that a model depends on is alike."""
    full, other = (yaml.safe_load(Workspace(one).parameters()) for one in ("full", name))
    for settings in (full, other):
        settings["data"].pop("sources")
        settings["pretrain"].pop("objectives")
    for section in ("engine", "data", "tokenizer", "model", "pretrain"):
        assert other[section] == full[section]
    for objective in yaml.safe_load(Workspace(name).parameters())["pretrain"]["objectives"]:
        assert other["objectives"][objective] == full["objectives"][objective]


def test_every_method_is_run_by_one() -> None:
    listed = yaml.safe_load(Workspace("methods").parameters())["finetune"]["methods"]
    assert set(listed) == set(methods.METHODS)
