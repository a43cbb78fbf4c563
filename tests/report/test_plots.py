"""What `dvc plots` draws of the report's files by the project's templates."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import paths
from tests.evaluate.made import redirect

REPOSITORY = Path(__file__).parents[2]
CURVES, SCORES = "Validation loss while pre-training", "Scores with their 95 % intervals over test examples"


@pytest.fixture
def project(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with the report, its first version committed and its losses halved since."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    redirect(monkeypatch, tmp_path)
    run("git", "init", "-q")
    run(sys.executable, "-m", "dvc", "init", "-q")
    shutil.copytree(REPOSITORY / ".dvc" / "plots", paths.ROOT / ".dvc" / "plots")
    plots = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["plots"]
    (paths.ROOT / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}, sort_keys=False))
    run("git", "add", "-f", "dvc.yaml", ".dvc", "reports")
    run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "first")
    rows = table("tables/curves.csv")
    with (paths.REPORTS / "tables" / "curves.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"loss": float(row["loss"]) / 2} for row in rows)
    return paths.ROOT


def run(*command: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(name: str) -> list[dict[str, str]]:
    with (paths.REPORTS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def drawn(page: str, title: str) -> dict[str, Any]:
    """The specification of a figure, as the page gives it to Vega."""
    specifications = [
        json.loads(line.strip()[len("var spec = ") : -1]) for line in page.splitlines() if "spec = " in line
    ]
    (found,) = (specification for specification in specifications if specification["title"] == title)
    return dict(found)


def fields(specification: Any) -> set[str]:
    """What a figure's encodings read."""
    if isinstance(specification, list):
        return {name for item in specification for name in fields(item)}
    if not isinstance(specification, dict):
        return set()
    own = {specification["field"]} if isinstance(specification.get("field"), str) else set()
    return own | fields([value for key, value in specification.items() if key != "data"])


def test_both_figures_hold_the_numbers_of_both_versions(project: Path) -> None:
    run(sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "-o", "plots")
    page = (project / "plots" / "index.html").read_text()
    losses = table("tables/curves.csv")
    curves, scores = drawn(page, CURVES), drawn(page, SCORES)
    for revision, factor in (("HEAD", 2), ("workspace", 1)):
        points = [row for row in curves["data"]["values"] if row["rev"] == revision]
        assert [float(row["loss"]) for row in points] == pytest.approx([factor * float(row["loss"]) for row in losses])
        found = [row["value"] for row in scores["data"]["values"] if row["rev"] == revision]
        assert found == [row["value"] for row in table("results.csv")]
    made = {"place", "rev"}  # by the figure itself, and by DVC
    assert fields(curves) <= losses[0].keys() | made
    assert fields(scores) <= table("results.csv")[0].keys() | made
    assert "<DVC_METRIC" not in page
