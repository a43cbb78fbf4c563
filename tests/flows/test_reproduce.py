"""Single stages in `dvc.lock`, where it holds more than names and hashes."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml

from flows.reproduce import numbered
from tests.flows.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PARAMS = "all:\n  one: {labels: &three [a, b, c], more: [&x [1], *x]}\n  two: {labels: *three}\n"

STAGES = {
    name: {"cmd": f"echo {name} > {name}", "params": ["all"], "outs": [name]} for name in ("first", "second", "third")
}

MAKE = """
import sys
from pathlib import Path
from flows import reproduce
from flows.limits import Limits
stages = reproduce.load(Path("."))
print(reproduce.reproduce(stages[sys.argv[1]], Limits(None, None), ()))
"""


def test_parameters_that_repeat_each_other_stay_readable(project: Project) -> None:
    """The lock is that of `dvc repro`, whichever stage is written last, and again when one of them changes."""
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (project.root / "params.yaml").write_text(PARAMS)
    (project.root / ".gitignore").write_text("/first\n/second\n/third\n")
    peer = shutil.copytree(project.root, project.root.with_name("peer"))
    serial = Project(peer, project.environment)
    for value in (PARAMS, PARAMS.replace("c]", "d]")):
        for root in (project.root, peer):
            (root / "params.yaml").write_text(value)
        serial.run("dvc", "repro", "-q").check_returncode()
        for name in ("first", "third", "second") if value != PARAMS else STAGES:
            make = [sys.executable, "-c", MAKE, name]
            subprocess.run(make, cwd=project.root, env=project.environment, check=True)
        assert (project.root / "dvc.lock").read_bytes() == (peer / "dvc.lock").read_bytes()
    assert (peer / "dvc.lock").read_text().count("&id") == 6


def test_anchors_are_numbered_over_all_entries() -> None:
    """Those of a file that was made by joining entries, whose names are used twice; by the first that is repeated."""
    text = "a: &id002\nb: *id002\nc: &id001\nd:\n- &id003 [x]\n- *id003\ne: '&id001'\nf: *id001\n"
    assert numbered(text) == "a: &id001\nb: *id001\nc: &id003\nd:\n- &id002 [x]\n- *id002\ne: '&id001'\nf: *id003\n"
