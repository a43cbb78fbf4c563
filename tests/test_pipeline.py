"""The whole graph on a small cut of real text: by `dvc repro`, and by the flow, with the same result."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import paths

REVIEWS = Path(__file__).parent / "data" / "reviews.csv"
COPIED = ("stages", "flows", "reports/benchmarks", "dvc.yaml", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def tiny(settings: dict[str, Any], source: Path) -> dict[str, Any]:
    """The committed parameters, cut down to one task, one seed, two objectives and a minute."""
    settings["seeds"] = [0]
    settings["engine"] = {"precision": "fp32", "threads": 1}
    settings["data"]["sources"] = ["reviews"]
    settings["sources"] = {
        "reviews": {
            "kind": "file",
            "path": str(source),
            "text": ["text"],
            "label": "label",
            "labels": ["negative", "positive"],
            "tasks": {"rotten_tomatoes": {"where": {"source": "rotten_tomatoes"}}},
        }
    }
    settings["tasks"] = ["rotten_tomatoes"]
    settings["tokenizer"]["vocab_size"] = 600
    settings["model"] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    settings["pretrain"] |= {"objectives": ["scratch", "mlm"], "budget": {"flops": 1.0e10}, "sequence_length": 32}
    settings["finetune"] |= {"max_train_examples": 100, "max_validation_examples": 40, "max_length": 32}
    settings["methods"]["full"] |= {"epochs": 1}
    # which model is the best of so little is chance, and a head that reads embeddings alone has no layers for a student
    settings["compressors"]["small"] = [{"compressor": "vocabulary", "min_count": 2}, "onnx_int8"]
    settings["compressors"]["deeper"] = {"compressor": "distill", "num_hidden_layers": 3}  # than any model is
    settings["compress"]["compressors"] = [*settings["compress"]["compressors"], "deeper"]
    return settings


def workspace(folder: Path) -> Path:
    """A repository of its own with the project's code and the small parameters."""
    folder.mkdir()
    for name in COPIED:
        origin, target = paths.ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(origin, target)
    settings = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny(settings, REVIEWS)), encoding="utf-8")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "start")
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a command in the workspace; its output, or a failure that shows it."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
    }
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "PREFECT_API_URL", "PREFECT_HOME", "DVC_STAGE", "DVC_ROOT"):
        environment.pop(name, None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which `dvc repro` has run."""
    folder = workspace(tmp_path_factory.mktemp("pipeline") / "serial")
    run(folder, "dvc", "repro")
    return folder


def test_everything_is_there(serial: Path) -> None:
    """Each listed run has its rows in the results, and the report stands."""
    with (serial / "reports" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = "objective task method compressor seed split metric value lower upper examples"
    assert list(rows[0])[:11] == columns.split()
    measured = {(r["objective"], r["task"], r["method"], r["compressor"]) for r in rows if r["metric"] == "accuracy"}
    for objective in ("scratch", "mlm"):
        for method in ("frozen", "full"):
            assert (objective, "rotten_tomatoes", method, "none") in measured
    assert {compressor for *_, compressor in measured} == {"none", "int8_dynamic", "onnx_int8", "small"}
    report = (serial / "reports" / "report.md").read_text(encoding="utf-8")
    assert "- rotten_tomatoes, `deeper` of `" in report  # and why there cannot be one
    assert any(r["metric"] == "bits_per_byte" and r["objective"] == "mlm" for r in rows)
    assert (serial / "reports" / "report.md").stat().st_size > 1000
    assert (serial / "reports" / "speed.csv").read_text().startswith("subject,peer,figure,unit,value,ratio\n")


def test_no_training_state_is_left(serial: Path) -> None:
    """Once a result is written, nothing of the way there stays to be taken up by mistake."""
    assert not [file for file in (serial / ".state").glob("checkpoints/**/*") if file.is_file()]


def test_a_second_run_does_nothing(serial: Path) -> None:
    """Not one stage, and DVC finds nothing to say."""
    assert "Running stage" not in run(serial, "dvc", "repro")
    assert "up to date" in run(serial, "dvc", "status")


def test_dvc_shows_metrics_params_and_plots(serial: Path) -> None:
    """The commands that DVC's users expect."""
    assert "data/metrics/pretrain/mlm-0.json" in run(serial, "dvc", "metrics", "show", "--md").replace("\\", "/")
    run(serial, "dvc", "params", "diff")
    run(serial, "dvc", "plots", "show", "--out", "plots")
    drawn = (serial / "plots" / "index.html").read_text(encoding="utf-8")
    assert all(title in drawn for title in ("Validation loss while pre-training", "Scores with their 95 % intervals"))


def test_compression_settings_rerun_no_training(serial: Path) -> None:
    """Only what reads them, and what follows from it."""
    file = serial / "params.yaml"
    before = file.read_text(encoding="utf-8")
    try:
        settings = yaml.safe_load(before)
        settings["compress"]["compressors"] = ["int8_dynamic"]
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        changed = run(serial, "dvc", "status")
    finally:
        file.write_text(before, encoding="utf-8")
    assert "report" in changed
    assert not any(f"\n{stage}" in f"\n{changed}" for stage in ("download", "split", "pretrain", "finetune", "select"))


def test_runs_are_logged_with_their_lineage(serial: Path) -> None:
    """A finished MLflow run for every stage that trains, with curves and the hashes of `dvc.lock`."""
    script = (
        "from mlflow import MlflowClient, set_tracking_uri\n"
        "set_tracking_uri('sqlite:///.state/mlflow.db')\n"
        "client = MlflowClient()\n"
        "kinds = {e.experiment_id: e.name for e in client.search_experiments()}\n"
        "for run in client.search_runs(list(kinds)):\n"
        "    points = len(client.get_metric_history(run.info.run_id, 'validation.loss'))\n"
        "    output = run.data.tags.get('output.models/pretrained/mlm-0', '-')\n"
        "    print(kinds[run.info.experiment_id], run.info.status, points, output, sep='\\t')\n"
    )
    lines = [line.split("\t") for line in run(serial, sys.executable, "-c", script).splitlines()]
    assert all(line[1] == "FINISHED" for line in lines)
    kinds = [line[0] for line in lines]
    assert kinds.count("pretrain") == 2
    assert kinds.count("finetune") == 4
    lock = yaml.safe_load((serial / "dvc.lock").read_text(encoding="utf-8"))
    outs = {out["path"]: out["md5"] for out in lock["stages"]["pretrain@mlm-0"]["outs"]}
    trained = [line for line in lines if line[3] == outs["models/pretrained/mlm-0"]]
    assert len(trained) == 1
    assert int(trained[0][2]) >= 10


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a flow has run, two stages at a time."""
    folder = workspace(tmp_path_factory.mktemp("pipeline") / "parallel")
    run(folder, sys.executable, "-m", "flows", "run", "--workers", "2")
    return folder


def test_the_flow_ends_as_dvc_repro_does(serial: Path, parallel: Path) -> None:
    """From nothing: the same `dvc.lock`, byte for byte, and the same report."""
    for name in ("dvc.lock", "reports/results.csv", "reports/report.md"):
        assert (parallel / name).read_bytes() == (serial / name).read_bytes(), name
    assert "up to date" in run(parallel, "dvc", "status")


def test_a_stage_is_a_process_on_each_of_its_gpus(parallel: Path) -> None:
    """Pretended ones: two processes train together, and are recorded as one run; the lock file is as good as any."""
    settings = yaml.safe_load((parallel / "params.yaml").read_text(encoding="utf-8"))
    settings["resources"] = {"pretrain@*": {"gpus": 2}, "finetune@*": {"gpus": 2}}
    settings["pretrain"]["learning_rate"] = 0.004
    (parallel / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    wanted = "finetune@mlm-rotten_tomatoes-full-0"
    flow = (sys.executable, "-m", "flows", "run", wanted)
    run(parallel, "env", "CUDA_VISIBLE_DEVICES=0,1", *flow)
    query = "SELECT key, value FROM tags WHERE key = 'device.processes' ORDER BY value"
    with closing(sqlite3.connect(parallel / ".state" / "mlflow.db")) as database:
        told = [value for _, value in database.execute(query)]
    assert told.count("2") == 2  # of pre-training and of fine-tuning
    assert not [file for file in (parallel / ".state").glob("checkpoints/**/*") if file.is_file()]
    run(parallel, "dvc", "status", "--quiet", "pretrain@mlm-0", wanted)


def test_new_rows_are_gone_on_with(serial: Path, tmp_path: Path) -> None:
    """Only a significant lead makes a champion; what has no new rows is up to date, and what has some is fetched."""
    with REVIEWS.open(encoding="utf-8", newline="") as file:
        texts = [" ".join(reversed(row["text"].split())) for row in csv.DictReader(file)]
    arrived = tmp_path / "arrived.txt"
    arrived.write_text("\n".join(texts[:100]), encoding="utf-8")
    source = {"kind": "file", "path": str(arrived), "text": ["text"], "corpus": "arrived"}
    phase = {"objective": "mlm", "mlm_probability": 0.4, "corpus": "arrived", "replay": 0.25}
    asked = {
        "data": {"sources": ["reviews", "arrived"], "corpus_validation": 0.1},
        "sources": {"arrived": source},
        "checkpoints": {"present": {"kind": "file", "path": "../../../models/pretrained/mlm-0"}},
        "tokenizer": {"start": "present"},
        "objectives": {"refreshed": {"start": "present", "phases": [phase]}},
        "pretrain": {"objectives": ["refreshed"]},
        "finetune": {"methods": ["frozen"]},
        "compress": {"compressors": ["int8_dynamic"]},
        "champion": {"significant": True},
    }
    (serial / "flows" / "refresh.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    refresh = (sys.executable, "-m", "flows", "refresh")
    first = run(serial, *refresh)
    assert "pretrain@refreshed-0" in first
    assert "rotten_tomatoes: version 1 stays the champion" in first
    log = (serial / ".state/workspaces/refresh/.state/logs/register@rotten_tomatoes.log").read_text(encoding="utf-8")
    assert "version 2, accuracy" in log
    assert "is not the champion: version 1 has" in log
    assert "Everything is up to date." in run(serial, *refresh)
    arrived.write_text("\n".join(texts[:110]), encoding="utf-8")
    run(serial, sys.executable, "-c", "from flows import refresh as f; f.prepare(f.Workspace(f.NAME))")
    planned = run(serial / ".state/workspaces/refresh", sys.executable, "-m", "flows", "plan")
    assert "download@arrived" in planned
    assert "download@reviews" not in planned


def test_a_second_set_of_parameters_is_published_beside_the_first(serial: Path) -> None:
    """In a workspace of its own, with the cache of this one; the lock file of this one stays as it is."""
    before = (serial / "dvc.lock").read_bytes()
    full = serial / "reports" / "full"
    (serial / "flows" / "full.yaml").write_text("evaluate: {bootstrap: 200}\n", encoding="utf-8")
    output = run(serial, sys.executable, "-m", "flows", "full", "-S", "evaluate.bootstrap=300")
    assert "pretrain@mlm-0  restored from the cache" in output
    assert sorted(file.name for file in full.iterdir()) == [
        "dvc.lock", "figures", "index.html", "params.yaml", "pareto.svg", "report.md", "results.csv",
        "speed.csv", "speed.md", "speed.svg", "tables",
    ]  # fmt: skip
    assert (serial / "dvc.lock").read_bytes() == before
    locks = [
        yaml.safe_load(file.read_text(encoding="utf-8"))["stages"] for file in (serial / "dvc.lock", full / "dvc.lock")
    ]
    assert locks[0]["pretrain@mlm-0"] == locks[1]["pretrain@mlm-0"]
    used = yaml.safe_load((full / "params.yaml").read_text(encoding="utf-8"))
    assert (used["evaluate"]["bootstrap"], used["seeds"]) == (300, [0])
