"""Which cells of the matrix run again when an intermediate task changes, by the project's own `dvc.yaml`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import paths

LEND = """
from stages import params
from stages.intermediate.lend import lend
lend(params.load())
print("intermediate", file=open("executed", "a"))
"""
TUNE = """
import pathlib, sys
for path in sys.argv[2:]:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("step,score\\n1,1\\n")
print(sys.argv[1], file=open("executed", "a"))
"""
TASKS = ("first", "chained", "other")


def graph() -> dict[str, Any]:
    """The two stages with what they depend on of data; what fine-tuning writes is made up."""
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    lending, tuning = stages["intermediate"], stages["finetune"]
    for stage in (lending, tuning):
        stage["deps"] = [path for path in stage["deps"] if path.startswith("data/")]
    outs = [*tuning["outs"], *(next(iter(plot)) for plot in tuning["plots"])]
    lending["cmd"], tuning["cmd"] = "python lend.py", " ".join(["python tune.py ${item.task}", *outs])
    return {"stages": {"intermediate": lending, "finetune": tuning}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three tasks, two of them in use, one of which has the third before it; all stages have run."""
    shutil.copytree(paths.ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    settings = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    columns = {"label": "label", "labels": ["low", "high"]}
    settings["sources"] = {"made": {"kind": "file", "path": "none", **columns, "tasks": {name: {} for name in TASKS}}}
    settings["data"]["sources"], settings["tasks"], settings["seeds"] = ["made"], ["chained", "other"], [0]
    settings["pretrain"]["objectives"], settings["finetune"]["methods"] = ["mlm"], ["lora"]
    settings["finetune"]["intermediate"] = {"chained": "first"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(graph(), sort_keys=False), encoding="utf-8")
    (tmp_path / "lend.py").write_text(LEND)
    (tmp_path / "tune.py").write_text(TUNE)
    for name in TASKS:
        for file in ("train.parquet", "validation.parquet", "test.parquet", "task.json"):
            (tmp_path / "data" / "tasks" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / "tasks" / name / file).write_text(f"{name} {file}")
        (tmp_path / "data" / "encoded" / name).mkdir(parents=True)
        (tmp_path / "data" / "encoded" / name / "tokens").write_text(name)
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    assert reproduced(tmp_path) == ["intermediate", "chained", "other"]
    return tmp_path


def dvc(project: Path, *arguments: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(["dvc", *arguments], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def reproduced(project: Path) -> list[str]:
    """The stages that `dvc repro` ran, fine-tuning by its task."""
    (project / "executed").write_text("")
    dvc(project, "repro", "--quiet")
    return (project / "executed").read_text().split()


def test_what_comes_before_runs_the_chained_task_again_and_nothing_else(project: Path) -> None:
    assert reproduced(project) == []
    tasks = project / "data" / "tasks"
    (tasks / "first" / "train.parquet").write_text("other rows")
    assert reproduced(project) == ["intermediate", "chained"]
    (tasks / "first" / "test.parquet").write_text("other rows")
    assert reproduced(project) == ["intermediate"]
    (tasks / "other" / "train.parquet").write_text("other rows")
    assert reproduced(project) == ["intermediate", "other"]
    file = project / "params.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["methods"]["full"]["epochs"] += 1
    file.write_text(yaml.safe_dump(settings))
    assert reproduced(project) == ["intermediate", "chained"]
    settings["finetune"]["intermediate"] = {"other": "first"}
    file.write_text(yaml.safe_dump(settings))
    assert reproduced(project) == ["intermediate", "chained", "other"]
