"""`dvc.yaml` against the code and the parameters that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import params, paths
from stages.compress import chain
from stages.errors import StageError
from stages.finetune.methods import METHODS
from stages.pretrain import curriculum
from tests.pretrain.corpus import vocabulary

GRAPH: dict[str, Any] = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

FULL = params.load().methods["full"]

SURROUNDINGS = [
    "__init__.py",
    "artifacts.py",
    "command.py",
    "errors.py",
    "params.py",
    "paths.py",
    "progress.py",
    "tracking",
]
"""Where files lie and how they are put there, how a stage fails, what is shown and logged: not what is computed."""


def names(entries: list[Any]) -> list[str]:
    """Paths or keys, whether given plain or with options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("stage", GRAPH)
def test_code_dependencies_exist(stage: str) -> None:
    """Each stage depends on code, and on code that is there."""
    code = [path for path in names(GRAPH[stage]["deps"]) if path.startswith("stages/")]
    assert code
    assert all((paths.ROOT / path).exists() for path in code)


def imported(file: Path) -> set[Path]:
    """The project's files that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "stages":
            base = paths.ROOT.joinpath(*str(node.module).split("."))
            for name in node.names:
                choices = (base / f"{name.name}.py", base / name.name / "__init__.py", base.with_suffix(".py"))
                found.add(next((path for path in choices if path.exists()), base / "__init__.py"))
    return found


@pytest.mark.parametrize("stage", GRAPH)
def test_code_dependencies_are_complete(stage: str) -> None:
    """What declared code imports is declared too: an edit anywhere in it makes the stage run again."""
    declared = [paths.ROOT / path for path in names(GRAPH[stage]["deps"]) if path.startswith("stages/")]
    covered = [*declared, *(paths.ROOT / "stages" / name for name in SURROUNDINGS)]
    files = [file for path in declared for file in (path.rglob("*.py") if path.is_dir() else [path])]
    missing = {
        needed.relative_to(paths.ROOT).as_posix()
        for file in files
        for needed in imported(file)
        if not any(needed == path or path in needed.parents for path in covered)
    }
    assert not missing


@pytest.mark.parametrize("stage", GRAPH)
def test_parameters_exist(stage: str) -> None:
    """Each declared key is in `params.yaml`."""
    settings = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    for key in GRAPH[stage].get("params", []):
        value = settings
        for part in re.sub(r"\$\{.*?\}", "*", key).split("."):
            value = next(iter(value.values())) if part == "*" else value[part]


def test_outputs_lie_where_the_code_writes_them() -> None:
    """The paths of the graph are those of `stages.paths`."""
    item = {name: f"${{item.{name}}}" for name in ("objective", "seed", "task", "method", "model", "compressor")}
    expected = {
        "pretrain": paths.pretrained(item["objective"], item["seed"]),  # type: ignore[arg-type]
        "finetune": paths.finetuned(item["task"], item["objective"], item["method"], item["seed"]),  # type: ignore[arg-type]
        "select": paths.selected(item["task"]).parent,
        "compress": paths.compressed(item["task"], item["model"], item["compressor"]),
    }
    for stage, path in expected.items():
        assert path.relative_to(paths.ROOT).as_posix() in names(GRAPH[stage]["outs"])


def test_only_reports_are_outside_the_cache() -> None:
    """Metrics included: a worker elsewhere must be able to fetch them."""
    uncached = {
        next(iter(entry))
        for stage in GRAPH.values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
        if isinstance(entry, dict) and next(iter(entry.values())).get("cache") is False
    }
    assert uncached
    assert all(path.startswith("reports/") for path in uncached)


def test_committed_parameters_name_what_there_is() -> None:
    """Every variant that `params.yaml` describes exists, and its options are valid."""
    settings = params.load()
    for name in settings.objectives:
        entry = curriculum.read(settings, name, vocabulary())
        assert entry.start or entry.phases
    assert set(settings.methods) <= set(METHODS)
    for name in settings.methods:
        params.options(METHODS[name].Options, settings.methods, "methods", name)
    for name in settings.compressors:
        assert chain.read(settings, name)


def test_an_unknown_option_is_named() -> None:
    """With the full key."""
    with pytest.raises(StageError, match=r"methods\.full: rate: unknown key"):
        params.options(METHODS["full"].Options, {"full": {**FULL, "rate": 0.1}}, "methods", "full")
