"""What DVC says is out of date, in which order, and how `dvc.lock` is put in order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from flows import graph
from stages.errors import StageError
from tests.flows.conftest import WORK, Project

ALL = ["top", "left", "right", "join", "each@a", "each@b", "alone", "still"]


def names(plan: graph.Plan) -> list[str]:
    return [stage.name for stage in plan.stages]


def test_a_new_project_is_planned_whole_and_in_order_of_need(project: Project) -> None:
    plan = graph.plan()
    needs = {stage.name: stage.needs for stage in plan.stages}
    assert sorted(needs) == sorted(ALL)
    assert needs["join"] == {"left", "right"}
    assert needs["alone"] == needs["still"] == frozenset()  # frozen: cut off from what it needs
    assert all(names(plan).index(need) < names(plan).index(name) for name in needs for need in needs[name])


def test_what_changed_is_planned_with_all_that_stands_on_it(project: Project) -> None:
    project.run("dvc", "repro", "-q").check_returncode()
    assert names(graph.plan()) == []
    (project.root / "join").unlink()
    assert names(graph.plan()) == ["join"]
    (project.root / "params.yaml").write_text("size: 2\n")
    assert sorted(names(graph.plan())) == ["each@a", "each@b", "join", "left", "right", "top"]
    assert names(graph.plan(["left"])) == ["top", "left"]


def test_a_graph_is_described_from_wherever_one_stands(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was never run as well, with the names that its own folder gives it."""
    monkeypatch.chdir(tmp_path)
    top, left = graph.described(project.root, ["left"])
    assert (top.name, top.needs, top.params, top.outs) == ("top", frozenset(), {"size"}, {"top"})
    assert (left.name, left.needs, left.params, left.outs) == ("left", {"top"}, frozenset(), {"left"})
    with pytest.raises(StageError, match="nowhere"):
        graph.described(project.root, ["nowhere"])


def test_every_reason_is_named(project: Project) -> None:
    """What changed: a command, a file, a parameter with its values, an output, whether there is any record."""

    def reasons() -> dict[str, tuple[str, ...]]:
        return {stage.name: stage.reasons for stage in graph.plan().stages}

    assert set(reasons().values()) == {("it never ran",)} | {reasons()["still"]}
    assert reasons()["still"] == ("still changed",)  # frozen: only its outputs are looked at
    project.run("dvc", "repro", "-q").check_returncode()
    (project.root / "params.yaml").write_text("size: 2\n")
    (project.root / "work.py").write_text(WORK + "# a comment\n")
    (project.root / "join").unlink()
    shutil.rmtree(project.root / ".dvc" / "cache")
    content = yaml.safe_load((project.root / "dvc.yaml").read_text())
    content["stages"]["right"]["always_changed"] = True
    content["stages"]["alone"]["cmd"] = "echo other > alone"
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert reasons() == {
        "top": ("work.py changed", "size changed (1 -> 2)", "top is not in the cache"),
        "left": ("left is not in the cache",),
        "right": ("it always runs", "right is not in the cache"),
        "join": ("join is not in the cache",),
        "each@a": ("each-a is not in the cache",),
        "each@b": ("each-b is not in the cache",),
        "alone": ("its command changed", "alone is not in the cache"),
        "still": ("still is not in the cache",),
    }


@pytest.mark.parametrize("change", ["nothing", "parameter", "dependency", "output", "cache", "frozen output", "lock"])
def test_a_stage_has_a_reason_if_dvc_would_say_that_it_changed(project: Project, change: str) -> None:
    project.run("dvc", "repro", "-q").check_returncode()
    files = {"dependency": "left", "output": "join", "frozen output": "still", "lock": "dvc.lock"}
    if change == "parameter":
        (project.root / "params.yaml").write_text("other: 1\n")
    elif change == "cache":
        shutil.rmtree(project.root / ".dvc" / "cache")
    elif change in files:
        (project.root / files[change]).unlink()
    with Repo() as repo, repo.lock:
        changed = {stage.addressing for stage in repo.index.stages if stage.changed()}
    assert {stage.name for stage in graph.plan().stages if stage.reasons} == changed


def test_what_cannot_be_planned_is_an_error_that_says_why(project: Project) -> None:
    with pytest.raises(StageError, match="nowhere"):
        graph.plan(["nowhere"])
    with Repo() as repo, repo.lock, pytest.raises(StageError, match="another DVC command"):
        graph.plan()


def test_the_lock_keeps_old_entries_and_appends_new_ones_in_serial_order(project: Project) -> None:
    project.run("dvc", "repro", "-q", "alone").check_returncode()
    serial = project.copy(project.root.parent / "serial")
    serial.run("dvc", "repro", "-q").check_returncode()
    plan = graph.plan()
    for name in ["top", "right", "each@b", "left", "each@a", "join", "still"]:
        project.run("dvc", "repro", "-q", "--single-item", name).check_returncode()
    assert project.lock != serial.lock
    graph.settle_lock(plan)
    assert project.lock == serial.lock


def test_what_another_machine_can_make_is_found_in_the_graph(project: Project) -> None:
    """All of its outs, and of its inputs from other stages, are in DVC's cache; and the run-cache knows such stages."""
    content = yaml.safe_load((project.root / "dvc.yaml").read_text())
    stages = content["stages"]
    stages["join"]["outs"] = [{"join": {"cache": False}}]
    stages["reads-join"] = {"cmd": "cp join copy", "deps": ["join"], "outs": ["copy"]}
    stages["right"]["outs"] = [{"right": {"persist": True}}]
    stages["left"]["always_changed"] = True
    stages["silent"] = {"cmd": "cat top", "deps": ["top"]}
    stages["measures"] = {"cmd": "cp top m.json", "deps": ["top"], "outs": [], "metrics": ["m.json"]}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    portable = {stage.name for stage in graph.plan().stages if stage.portable}
    assert portable == {"top", "each@a", "each@b", "measures"}
