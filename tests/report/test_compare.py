"""What changed between two revisions, in a repository of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from scipy import stats

from stages import paths
from stages.errors import StageError
from stages.report import __main__
from stages.report.compare import Revision, params, scores

COLUMNS = "objective,task,method,compressor,seed,split,metric,value,lower,upper,examples"
Commit = Callable[..., str]


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", str(paths.ROOT), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commit:
    """Commits results (by objective, a value a seed) and parameters; gives the name of the commit."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    git("init", "-q")

    def made(values: Mapping[str, list[float]], **settings: object) -> str:
        rows = [
            f"{name},imdb,full,none,{seed},test,accuracy,{value},,,"
            for name, found in values.items()
            for seed, value in enumerate(found)
        ]
        (tmp_path / "reports").mkdir(exist_ok=True)
        (tmp_path / "reports" / "results.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
        git("add", "-A")
        git("commit", "-qm", "made", "--allow-empty")
        return git("rev-parse", "HEAD")

    return made


def test_only_what_differs_is_shown(commit: Commit) -> None:
    """With Welch's p-values, corrected for both cells that have one."""
    first = {"mlm": [0.70, 0.72, 0.71], "clm": [0.60, 0.65, 0.61], "scratch": [0.5, 0.5, 0.5], "gone": [0.4]}
    second = {"mlm": [0.80, 0.81, 0.83], "clm": [0.62, 0.66, 0.60], "scratch": [0.5, 0.5, 0.5], "new": [0.9]}
    before, after = (
        Revision.read(name) for name in (commit(first, a={"b": 1, "c": 2}), commit(second, a={"b": 3, "c": 2}))
    )
    assert [row[1:] for row in params(before, after).rows] == [["1", "3"]]
    rows = {row[2]: row[5:] for row in scores(before, after).rows}
    assert set(rows) == {"mlm", "clm", "gone", "new"}
    assert rows["mlm"][:3] == ["71.0 ± 1.0", "81.3 ± 1.5", "+10.3"]
    raw = [float(stats.ttest_ind(first[name], second[name], equal_var=False).pvalue) for name in ("mlm", "clm")]
    assert float(rows["mlm"][3].strip("<")) == pytest.approx(min(1, 2 * raw[0]), abs=6e-4)
    assert float(rows["clm"][3]) == pytest.approx(raw[1], abs=6e-4)
    assert rows["gone"] == ["40.0", "–", "–", "–"]
    assert rows["new"] == ["–", "90.0", "–", "–"]


def test_the_command_prints_both_tables(commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = commit({"mlm": [0.7, 0.8]}, a=1), commit({"mlm": [0.7, 0.9]}, a=1)
    __main__.main(["--compare", first, second])
    out = capsys.readouterr().out
    assert "All parameters are the same." in out
    assert "| imdb | full | mlm | none | accuracy | 75.0 ± 7.1 | 80.0 ± 14.1 | +5.0 |" in out


def test_an_experiment_goes_by_its_name(commit: Commit) -> None:
    made = commit({"mlm": [0.7]}, a=1)
    git("update-ref", "refs/exps/ab/cdef/tidy-name", made)
    assert Revision.read("tidy-name").cells == Revision.read(made).cells


def test_what_cannot_be_compared_is_named(commit: Commit, tmp_path: Path) -> None:
    commit({"mlm": [0.7]}, a=1)
    with pytest.raises(StageError, match="nowhere is no revision that git knows"):
        Revision.read("nowhere")
    (tmp_path / "reports" / "results.csv").write_text("a,b\n1,2\n")
    git("commit", "-qam", "broken")
    with pytest.raises(StageError, match=r"HEAD: reports/results\.csv is damaged"):
        Revision.read("HEAD")
    git("rm", "-q", "reports/results.csv")
    git("commit", "-qm", "gone")
    with pytest.raises(StageError, match=r"HEAD has no reports/results\.csv"):
        Revision.read("HEAD")
