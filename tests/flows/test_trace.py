"""From a number, a cell, a stage or a run back to what it was made from."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows import trace
from stages.errors import StageError
from tests.flows.conftest import Project

COLUMNS = "objective,task,method,compressor,seed,split,metric,value,lower,upper,examples"
ROWS = (
    "a,imdb,full,none,0,test,accuracy,0.724453,,,",
    "a,imdb,full,none,1,test,accuracy,0.727634,,,",
    "b,imdb,full,none,0,test,accuracy,0.60,,,",
    "b,imdb,frozen,none,0,test,f1,0.60,,,",
    "a,corpus,pretrain,none,0,validation,loss,4.1234,,,",
)


@pytest.fixture
def results(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was run, with a report and the store that its tests write to."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.environment["MLFLOW_TRACKING_URI"])
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stderr
    folder = project.root / "reports"
    folder.mkdir()
    (folder / "results.csv").write_text("\n".join([COLUMNS, *ROWS]) + "\n")
    return project.root


def told(*words: str, root: Path) -> str:
    return "\n".join(trace.trace(words, root))


def test_a_stage_leads_to_its_command_its_inputs_and_what_made_them(results: Path) -> None:
    text = told("join", root=results)
    made = trace.locked(results)
    assert "  command    python work.py join left right" in text
    assert "  again      dvc repro --single-item --force join" in text
    assert "  state      as recorded" in text
    assert f"  from       left  {made['left'].outs['left']}  <- left" in text
    assert f"  made       join  {made['join'].outs['join']}" in text
    behind = [line.split()[2].rstrip(":") for line in text.splitlines() if line.startswith("  stands on")]
    assert behind == ["left", "right", "top"]


def test_what_is_no_longer_as_it_was_is_stale(results: Path) -> None:
    (results / "work.py").write_text((results / "work.py").read_text() + "\n")
    text = told("join", root=results)
    assert "  state      STALE: what it stands on is" in text
    assert "  stands on  top (STALE): python work.py top" in text
    assert "STALE: work.py changed" in told("top", root=results)


def test_runs_are_those_that_made_the_present_outputs(results: Path, project: Project) -> None:
    """One of other outputs, one that failed and one of another stage are not; a run leads to its stage."""
    client = MlflowClient(project.environment["MLFLOW_TRACKING_URI"])
    experiment = client.create_experiment("work")
    out = trace.locked(results)["top"].outs["top"]
    tags = {
        "right one": {"dvc.stage": "top", "output.top": out, "git.commit": "0123456789abcdef", "git.dirty": "true"},
        "earlier": {"dvc.stage": "top", "output.top": "0" * 32},
        "failed": {"dvc.stage": "top", "output.top": out},
        "other": {"dvc.stage": "left", "output.top": out},
    }
    made = {}
    for name, given in tags.items():
        run = client.create_run(experiment, tags=given, run_name=name, start_time=int(1000 * time.time()) - 5000)
        client.set_terminated(run.info.run_id, "FAILED" if name == "failed" else "FINISHED")
        made[name] = run.info.run_id
    (line,) = (line for line in told("top", root=results).splitlines() if line.startswith("  run "))
    assert line.startswith("  run        right one, 5 s, commit 0123456789 with changes, http")
    assert line.endswith(f"#/experiments/{experiment}/runs/{made['right one']}")
    assert told(made["earlier"][:12], root=results).startswith(f"run {made['earlier']}\n\ntop\n")


@pytest.mark.parametrize("number", ["72.6", "0.726", "72.45", "72.4453"])
def test_a_number_leads_to_its_cell(results: Path, number: str) -> None:
    """As the report rounds it, or as the table has it; of the mean, or of one seed."""
    text = told(number, root=results)
    assert text == "imdb · full · a · none · accuracy: 0.726044 (0.724453 with seed 0, 0.727634 with seed 1)"


def test_words_narrow_down(results: Path) -> None:
    assert len(told("60.0", root=results).splitlines()) == 2
    assert told("60.0", "f1", root=results).startswith("imdb · frozen · b · none · f1: 0.6 ")


def test_what_nothing_goes_by_is_said(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match=r"99\.9: no stage, no run and no cell"):
        told("99.9", root=results)
    monkeypatch.setattr(trace, "MOST", 1)
    with pytest.raises(StageError, match=r"imdb: 3 cells fit \(imdb full a none accuracy; …\): say more"):
        told("imdb", root=results)
    (results / "dvc.lock").unlink()
    with pytest.raises(StageError, match=r"dvc\.lock is missing: nothing has run here yet"):
        told("join", root=results)


@pytest.mark.parametrize(
    ("cell", "stage"),
    [
        (("mlm", "imdb", "full", "none"), "finetune@mlm-imdb-full-1"),
        (("mlm", "imdb/hard", "full", "none"), "finetune@mlm-imdb-full-1"),
        (("mlm", "imdb", "full", "int8"), "compress@imdb-best-int8"),
        (("clm", "imdb", "full", "int8"), "compress@imdb-clm-int8"),
        (("mlm", "corpus", "pretrain", "none"), "pretrain@mlm-1"),
        (("mlm", "blimp/binding", "zero_shot", "none"), "zero_shot@blimp-mlm-1"),
        (("mlm", "imdb", "zero_shot", "none"), "finetune@mlm-imdb-zero_shot-1"),
        (("mlm", "imdb", "gone", "none"), None),
    ],
)
def test_a_cell_leads_to_the_stage_that_made_its_model(cell: tuple[str, ...], stage: str | None) -> None:
    names = ("finetune@mlm-imdb-full-1", "compress@imdb-best-int8", "pretrain@mlm-1", "zero_shot@blimp-mlm-1")
    further = ("finetune@mlm-imdb-zero_shot-1", "compress@imdb-clm-int8")
    made = {name: trace.Made(name, "", {}, {}, {}) for name in (*names, *further)}
    row = dict(zip(("objective", "task", "method", "compressor"), cell, strict=True)) | {"seed": "1"}
    assert trace._stage_of(row, made) == stage
