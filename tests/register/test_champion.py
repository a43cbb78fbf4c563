"""Models in a real MLflow store: what is kept of them, which one is the champion, and what answers from it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from scipy.stats import binomtest

from stages import artifacts, params, paths, record, tracking
from stages.errors import StageError
from stages.model import files
from stages.params import Params
from stages.predict.__main__ import main as predict
from stages.predict.predictor import Predictor
from stages.register import champion, rescore
from stages.register.__main__ import main
from stages.task import FILE, Task
from stages.tracking import store
from tests.predict import made
from tests.predict.test_predictor import HUNDRED_THOUSAND, texts
from tests.recorded import noted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CLASSES, SCORES = ("classification", made.LABELS, "accuracy"), ("regression", (), "pearson")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a store of its own, which all tests share; each has a task of its own."""
    folder = tmp_path_factory.mktemp("register")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TASKS", "ENCODED", "MODELS", "TOKENIZER", "STATE"):
            patch.setattr(paths, name, folder / name.lower())
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'store' / 'mlflow.db'}")
        yield folder


@pytest.fixture(scope="module")
def client(root: Path) -> MlflowClient:
    return store.connect()


@pytest.fixture(scope="module")
def settings() -> Params:
    """All validation examples there are."""
    return params.load()


def make_task(name: str, seed: int, kind: tuple[str, tuple[str, ...], str] = CLASSES) -> None:
    """A task with its validation split; with another seed it has other texts."""
    family, labels, metric = kind
    generator = np.random.default_rng(seed)
    values = generator.integers(0, len(labels), 40) if labels else generator.random(40)
    columns = {"text": texts(40, seed)} | ({} if labels else {"text_pair": texts(40, seed + 1)})
    paths.task(name).mkdir(parents=True, exist_ok=True)
    artifacts.write_json(paths.task(name) / FILE, Task(family=family, labels=labels, metric=metric).model_dump())
    pq.write_table(pa.table({**columns, "label": values}), paths.task(name) / "validation.parquet")


def select(task: str, value: float, kind: str = "bert", seed: int = 0, labels: tuple[str, ...] = made.LABELS) -> None:
    """A model as `stages.select` leaves it, whose ``run.json`` says that it has this score."""
    shutil.rmtree(paths.selected(task), ignore_errors=True)
    folder = made.tuned(paths.MODELS / "made" / f"{task}-{seed}-{value}" / "model", kind, labels, seed)
    metric = json.loads((paths.task(task) / FILE).read_text())["metric"]
    run = noted(task=task, seed=seed, metric=metric, validation={metric: value})
    artifacts.write_json(folder / record.FILE, run)
    shutil.copytree(folder, paths.selected(task))


def register(settings: Params, task: str) -> champion.Verdict:
    return champion.register(settings, champion.candidate(settings, task))


def present(client: MlflowClient, task: str) -> int:
    """The version that has the alias."""
    return int(client.get_model_version_by_alias(task, champion.ALIAS).version)


def accuracy(folder: Path, task: str) -> float:
    """Of the model on the task's validation texts, one after the other."""
    table = pq.read_table(paths.task(task) / "validation.parquet").to_pylist()
    right = [int(np.argmax(made.outputs(folder, row["text"]))) == row["label"] for row in table]
    return sum(right) / len(right)


ELSEWHERE = """
import sys
from pathlib import Path
from stages import paths
paths.STATE = Path(sys.argv[1])
from stages.predict.__main__ import main
main(["--model", sys.argv[2], "--input", "texts.csv"])
"""


def test_the_project_finds_its_champion_in_its_own_store(root: Path, settings: Params, tmp_path: Path) -> None:
    """With nothing in the environment that says where that is, from anywhere; no other store is begun on the way."""
    make_task("found", 0)
    select("found", 0.5)
    assert register(settings, "found").is_champion
    (tmp_path / "texts.csv").write_text("text\ngood film\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(root / "store"), "models:/found@champion"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(paths.ROOT)},
        check=True,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv", "texts.predictions.csv"}


@pytest.mark.parametrize(("kind", "asked"), [("encoder", CLASSES), ("bert", SCORES)], ids=["classes", "scores"])
def test_mlflow_answers_from_the_champion(
    kind: str, asked: tuple[str, tuple[str, ...], str], root: Path, client: MlflowClient, settings: Params
) -> None:
    """By its own command, anywhere, with what was registered alone: no file of the project, no pickle."""
    task, labels = f"answering_{asked[0]}", asked[1]
    make_task(task, 0, asked)
    select(task, 0.5, kind, labels=labels)
    assert register(settings, task).is_champion
    columns = ["text"] if labels else ["text", "text_pair"]
    rows = [[text] if labels else [text, "good film"] for text in (*texts(3, 5), HUNDRED_THOUSAND)]
    (root / "example.json").write_text(json.dumps({"dataframe_split": {"columns": columns, "data": rows}}))
    command = ["models", "predict", "-m", f"models:/{task}@champion", "-i", "example.json", "-t", "json"]
    done = subprocess.run(
        [Path(sys.executable).with_name("mlflow"), *command, "--env-manager", "local"],
        cwd=root,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout[done.stdout.index('{"predictions"') :])["predictions"]
    names = [f"probability_{name}" for name in labels] or ["score"]
    for row, answer in zip(rows, answers, strict=True):
        expected = made.outputs(paths.selected(task), *row)
        assert [answer.pop(name) for name in names] == pytest.approx(expected, abs=1e-5)
        assert answer == ({"label": labels[int(np.argmax(expected))]} if labels else {})
    kept = [path for path in (root / "store" / "mlartifacts").rglob("*") if path.is_file()]
    assert any(path.name == files.WEIGHTS for path in kept)
    assert not [path for path in kept if path.suffix in (".pkl", ".pickle", ".pt", ".bin", ".joblib")]


def test_what_is_kept_of_a_model(client: MlflowClient, settings: Params) -> None:
    """Signature, example, and what it is and was judged by; the files as they were selected."""
    import mlflow

    make_task("kept", 0, SCORES)
    select("kept", 0.25, labels=())
    verdict = register(settings, "kept")
    version = client.get_model_version("kept", str(verdict.version))
    table = paths.task("kept") / "validation.parquet"
    assert (
        version.tags.items()
        >= {
            "md5": artifacts.md5(paths.selected("kept")),
            "objective": "mlm",
            "method": "full",
            "seed": "0",
            "validation.md5": artifacts.md5(table),
            "validation.examples": "40",
            "validation.metric": "pearson",
            "validation.score": "0.25",
        }.items()
    )
    info = mlflow.models.get_model_info(f"models:/kept@{champion.ALIAS}")
    assert info.signature.inputs.input_names() == ["text", "text_pair"]
    assert info.signature.outputs.to_dict() == [{"type": "double", "name": "score", "required": True}]
    model = mlflow.models.Model.load(f"models:/kept/{verdict.version}")
    example = model.load_input_example()
    assert example.to_dict("list") == pq.read_table(table, columns=["text", "text_pair"]).slice(0, 2).to_pydict()
    assert "loader_module: mlflow.pyfunc.loaders.code_model" in model.to_yaml()
    with champion.source.folder("models:/kept@champion") as folder:
        assert artifacts.md5(folder) == artifacts.md5(paths.selected("kept"))
    assert not folder.exists()


def test_only_a_better_model_takes_the_alias(client: MlflowClient, settings: Params) -> None:
    """Not a worse one, nor one that is as good; what is there already makes no second version."""
    make_task("rivals", 0)
    met = []
    for seed, value in enumerate((0.5, 0.4, 0.5, 0.6, 0.5)):
        select("rivals", value, seed=seed)
        verdict = register(settings, "rivals")
        met.append((verdict.version, verdict.is_champion, present(client, "rivals")))
    assert met == [(1, True, 1), (2, False, 1), (3, False, 1), (4, True, 4), (5, False, 4)]
    assert verdict.text == ("version 5, accuracy 0.5000 on validation, is not the champion: version 4 has 0.6000")
    select("rivals", 0.6, seed=3)
    verdict = register(settings, "rivals")
    assert (verdict.version, verdict.is_champion) == (4, True)
    assert len(client.search_model_versions("name = 'rivals'")) == 5


@pytest.mark.parametrize("clear", [True, False])
def test_where_a_lead_must_be_significant_chance_is_not_enough(clear: bool, settings: Params) -> None:
    """As McNemar's exact test has it, of a model that is right where they differ always, or one time more than not."""
    strict, task = settings.model_copy(update={"champion": params.Champion(significant=True)}), f"strict_{clear}"
    make_task(task, 0)
    table = pq.read_table(paths.task(task) / "validation.parquet")
    said = []
    for value, kind in ((0.1, "encoder"), (0.9, "bert")):
        select(task, value, kind)
        said.append([int(np.argmax(made.outputs(paths.selected(task), text))) for text in table["text"].to_pylist()])
    differing = [place for place, (one, other) in enumerate(zip(*said, strict=True)) if one != other]
    right = differing if clear else differing[: len(differing) // 2 + 1]
    labels = [said[place in right][place] for place in range(len(table))]
    pq.write_table(table.set_column(1, "label", pa.array(labels)), paths.task(task) / "validation.parquet")
    select(task, 0.1, "encoder")
    assert register(strict, task).is_champion
    select(task, 0.9, "bert")
    verdict = register(strict, task)
    assert verdict.is_champion == clear == (binomtest(len(right), len(differing)).pvalue < 0.05)
    assert "and the 95 % interval of the lead is " in verdict.text
    assert register(settings, task).is_champion


def test_on_other_data_the_champion_is_scored_anew(
    client: MlflowClient, settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old score says nothing of the texts of today; its new one is kept with it, and asked no second time."""
    make_task("moved", 0)
    select("moved", 0.99, kind="encoder")
    register(settings, "moved")
    before = made.tuned(paths.MODELS / "made" / "before" / "model", "encoder")
    make_task("moved", 1)
    value = accuracy(before, "moved")
    assert 0.1 < value < 0.9
    select("moved", value, kind="bert", seed=1)
    equal = register(settings, "moved")
    assert (equal.version, equal.is_champion) == (2, False)
    assert equal.text.endswith(f"version 1 has {value:.4f}, scored anew on the present examples")
    tags = client.get_model_version("moved", "1").tags
    assert float(tags["validation.score"]) == pytest.approx(value)
    assert tags["validation.md5"] == artifacts.md5(paths.task("moved") / "validation.parquet")
    monkeypatch.setattr(rescore, "score", lambda *_: pytest.fail("it was scored on these examples before"))
    select("moved", value + 0.001, kind="bert", seed=2)
    better = register(settings, "moved")
    assert (better.is_champion, present(client, "moved")) == (True, 3)
    assert better.text.endswith(f"version 1 has {value:.4f}")


def test_fewer_examples_are_other_data(settings: Params) -> None:
    """As is another metric."""
    make_task("fewer", 0)
    whole = champion.judgement.present(settings, "fewer")
    content = settings.model_dump()
    content["finetune"]["max_validation_examples"] = 39
    assert champion.judgement.present(params.parse(Params, content, ""), "fewer") != whole
    artifacts.write_json(paths.task("fewer") / FILE, {"family": "classification", "labels": [], "metric": "f1"})
    assert champion.judgement.present(settings, "fewer") != whole


def test_a_champion_that_cannot_be_compared_gives_way(client: MlflowClient, settings: Params) -> None:
    """For it answers another question, or nobody can read it any more."""
    make_task("other", 0, ("classification", ("no", "yes"), "accuracy"))
    select("other", 0.9, labels=("no", "yes"))
    register(settings, "other")
    make_task("other", 1)
    select("other", 0.1, seed=1)
    verdict = register(settings, "other")
    assert verdict.is_champion
    assert verdict.text.endswith("version 1, which was, cannot be compared: it knows other classes: no, yes")
    source = Path(client.get_model_version_download_uri("other", "2").removeprefix("file://"))
    for weights in source.rglob(files.WEIGHTS):
        weights.write_bytes(b"torn")
    make_task("other", 2)
    select("other", 0.05, seed=2)
    verdict = register(settings, "other")
    assert (verdict.is_champion, present(client, "other")) == (True, 3)
    assert "version 2, which was, cannot be compared: this code cannot read it" in verdict.text


def test_predict_reads_it_from_the_store(root: Path, client: MlflowClient, settings: Params) -> None:
    make_task("fetched", 0)
    select("fetched", 0.5)
    register(settings, "fetched")
    pd.DataFrame({"text": texts(4)}).to_csv(root / "a.csv", index=False)
    predict(["--model", "models:/fetched@champion", "--input", str(root / "a.csv")])
    for row in pd.read_csv(root / "a.predictions.csv").to_dict("records"):
        expected = made.outputs(paths.selected("fetched"), row["text"])
        assert [row[f"probability_{name}"] for name in made.LABELS] == pytest.approx(expected, abs=2e-6)
    for uri in ("models:/fetched@nobody", "models:/nothing/1"):
        with pytest.raises(StageError, match=f"{uri} cannot be fetched from sqlite:.*`make ui` shows"):
            predict(["--model", uri, "--input", str(root / "a.csv")])


def test_a_request_that_cannot_be_answered_is_refused(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As a bad request that names the row; what is cut is said in the server's log."""
    from stages.register.served import Served

    served = Served()
    folder = made.tuned(root / "served" / "model", "encoder")
    served.load_context(SimpleNamespace(artifacts={"model": str(folder)}))  # type: ignore[arg-type]
    with pytest.raises(MlflowException, match="row 2: text is empty; row 3: text is no text") as refused:
        served.predict(None, pd.DataFrame({"text": ["good", "", float("nan")]}))  # type: ignore[arg-type]
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    answers = served.predict(None, pd.DataFrame({"text": ["good", HUNDRED_THOUSAND]}))  # type: ignore[arg-type]
    assert list(answers.columns) == Predictor(folder).columns
    assert f"texts cut to {made.LENGTH} tokens: 1" in caplog.text


@pytest.mark.parametrize("trouble", ["locked", "away"])
def test_a_store_in_trouble_costs_a_warning(
    trouble: str, root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends well, soon, and leaves the selected model as it was."""
    make_task("troubled", 0)
    select("troubled", 0.5)
    before = artifacts.md5(paths.selected("troubled"))
    monkeypatch.setattr(tracking, "PATIENCE", 1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if trouble == "away":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with closing(sqlite3.connect(root / "store" / "mlflow.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        main(["--task", "troubled"])
        connection.execute("ROLLBACK")
    said = capsys.readouterr().err
    assert f"warning: troubled may not be registered in {store.uri()}: " in said
    assert "python -m stages.register --task troubled" in said
    assert artifacts.md5(paths.selected("troubled")) == before
    assert not client.search_registered_models("name = 'troubled'")


def test_the_command_says_what_became_of_it(client: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    """And that a model is missing is an error, not a warning."""
    make_task("said", 0)
    with pytest.raises(StageError, match=r"run\.json is missing: run `dvc repro`"):
        main(["--task", "said"])
    select("said", 0.5)
    main(["--task", "said"])
    expected = "said: version 1, accuracy 0.5000 on validation, is the champion: there was none\n"
    assert capsys.readouterr().out == expected
    assert present(client, "said") == 1
