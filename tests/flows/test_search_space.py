"""The file that says what is searched: what it may say, and what is wrong with it, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.search import space
from flows.search.settings import Settings
from flows.search.space import Space
from flows.search.steps import Steps
from stages import paths
from stages.errors import StageError

RATE = {"kind": "float", "low": 0.001, "high": 0.1, "log": True}
FILE: dict[str, Any] = {
    "study": "s",
    "stages": ["pretrain@mlm-0"],
    "goal": {"file": "data/metrics/pretrain/mlm-0.json", "key": "loss", "direction": "minimize"},
    "parameters": {"pretrain.learning_rate": RATE},
    "trials": 3,
}
CURVE = {"file": "data/curves/pretrain/mlm-0.csv", "key": "loss", "direction": "minimize", "point": "last"}


def load(folder: Path, **changes: Any) -> Space:
    file = folder / "x.yaml"
    file.write_text(yaml.safe_dump(FILE | changes))
    return space.load(file)


def searched(**changes: Any) -> dict[str, Any]:
    return {"parameters": {"pretrain.learning_rate": RATE | changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trial": 3}, r"x\.yaml: trial: unknown key"),
        ({"trials": 0}, r"trials: .*greater than or equal to 1"),
        (searched(low=0.2), r"parameters\.pretrain\.learning_rate\.float: low: 0\.2 must be below high, which is 0\.1"),
        (searched(low=-1), r"pretrain\.learning_rate\.float: low: -1 has no logarithm"),
        (searched(step=0.01), r"pretrain\.learning_rate\.float: step: there are no even steps over a logarithm"),
        (searched(hihg=1), r"pretrain\.learning_rate\.float\.hihg: unknown key"),
        (searched(kind="floats"), r"parameters\.pretrain\.learning_rate: .*'floats'"),
        ({"parameters": {"a.b": {"kind": "categorical", "choices": [1, 1]}}}, r"a\.b\.categorical: choices: each once"),
        ({"fixed": {"pretrain.learning_rate": 1}}, r"fixed: pretrain\.learning_rate is searched"),
        ({"goal": CURVE | {"key": "train_loss"}}, r"goal: key: train_loss is not measured on validation"),
        ({"goal": CURVE | {"point": None}}, r"goal: point: of a curve it must be said which point counts"),
        ({"goal": FILE["goal"] | {"point": "best"}}, r"goal: point: only a curve \(\.csv\) has points"),
        ({"pruner": {"kind": "median"}}, r"pruner: it needs a goal that is a curve"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=message):
        load(tmp_path, **changes)


@pytest.mark.parametrize(
    ("key", "parameter", "message"),
    [
        ("pretrain.speed", RATE, r"x: parameters: params\.yaml: pretrain\.speed: unknown key"),
        (
            "pretain.learning_rate",
            RATE,
            r"x: parameters\.pretain\.learning_rate: params\.yaml has no such key; it has: s",
        ),
        ("seeds.first", RATE, r"x: parameters\.seeds\.first: params\.yaml has no such key: seeds holds no others"),
        ("pretrain.warmup", RATE | {"high": 2}, r"x: parameters: params\.yaml: pretrain\.warmup: .*less than 1"),
        ("methods.full.rate", RATE, r"x: parameters: params\.yaml: methods\.full: rate: unknown key"),
        ("compressors.distill.rate", RATE, r"compressors\.distill: rate: unknown key"),
        ("objectives.mlm.rate", RATE, r"objectives\.mlm: rate: unknown key"),
    ],
)
def test_keys_are_those_of_params_and_ranges_what_they_may_be(
    key: str, parameter: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Also where a section leaves its options to the class that reads them."""
    with pytest.raises(StageError, match=message):
        Settings(load(tmp_path, parameters={key: parameter}), "x")


def test_an_option_that_params_leaves_out_may_be_searched(tmp_path: Path) -> None:
    key = "methods.full.dropout"
    sought = load(tmp_path, parameters={key: {"kind": "float", "low": 0.0, "high": 0.3}})
    settings = Settings(sought, "x")
    assert settings.present is None
    assert yaml.safe_load(settings.of({key: 0.125}))["methods"]["full"]["dropout"] == 0.125


def test_a_trial_has_its_values_and_those_that_are_fixed_and_all_others_of_params(tmp_path: Path) -> None:
    settings = Settings(load(tmp_path, fixed={"seeds": [7], "pretrain.batch_size": 8}), "x")
    before = yaml.safe_load(paths.PARAMS.read_text())
    pretrain = before["pretrain"] | {"batch_size": 8, "learning_rate": 0.05}
    assert yaml.safe_load(settings.of({"pretrain.learning_rate": 0.05})) == before | {
        "seeds": [7],
        "pretrain": pretrain,
    }
    assert settings.present == {"pretrain.learning_rate": before["pretrain"]["learning_rate"]}


def test_a_present_value_that_is_not_searched_is_none_to_begin_with(tmp_path: Path) -> None:
    assert Settings(load(tmp_path, **searched(low=0.05)), "x").present is None


@pytest.mark.parametrize(
    ("parameter", "drawn", "settled"),
    [
        (RATE, 0.0123456789, 0.01235),
        (RATE, 0.0999999, 0.1),
        (RATE | {"high": 0.09994}, 0.09994, 0.09994),
        ({"kind": "float", "low": 0.0, "high": 1.0, "step": 0.1}, 0.30000000000000004, 0.3),
        ({"kind": "categorical", "choices": ["a", 1, 0.5]}, 0.5, 0.5),
    ],
)
def test_values_are_such_as_can_be_written_down(
    parameter: dict[str, Any], drawn: Any, settled: Any, tmp_path: Path
) -> None:
    sought = load(tmp_path, parameters={"a.b": parameter})
    assert sought.settings({"a.b": drawn}) == {"a.b": settled}
    assert sought.parameters["a.b"].holds(settled)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": ["pretrain@mml-0"]}, r"x: stages: .*pretrain@mml-0"),
        (
            {"goal": FILE["goal"] | {"file": "data/m.json"}},
            r"x: goal\.file: no stage .* makes data/m\.json; they make: ",
        ),
        (
            {"parameters": {"evaluate.bootstrap": RATE}},
            r"x: parameters\.evaluate\.bootstrap: none of the stages .* reads",
        ),
        (
            {"goal": FILE["goal"] | {"file": "data/metrics/split.json"}},
            r"data/metrics/split\.json is the same in every",
        ),
    ],
)
def test_stages_make_what_is_sought_from_what_is_searched(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match=message):
        Steps(paths.ROOT, load(tmp_path, **changes), "x")


def test_what_stands_on_a_stage_that_changes_changes(tmp_path: Path) -> None:
    curve = "data/curves/finetune/imdb/mlm-full-0.csv"
    goal = {"file": curve, "key": "score", "direction": "maximize", "point": "best"}
    steps = Steps(paths.ROOT, load(tmp_path, stages=["finetune@mlm-imdb-full-0"], goal=goal), "x")
    assert steps.judged == "finetune@mlm-imdb-full-0"
    assert "gather" in steps.constant
    assert not {"pretrain@mlm-0", "finetune@mlm-imdb-full-0"} & set(steps.constant)


def test_the_file_that_is_there_is_one_of_the_graph() -> None:
    """Its stage is judged, and what stands before it is made once for all trials."""
    file = paths.ROOT / "flows" / "search.yaml"
    sought = space.load(file)
    settings = Settings(sought, file.name)
    assert settings.present, "the first trial is params.yaml as it is"
    steps = Steps(paths.ROOT, sought, file.name)
    assert steps.judged == "finetune@mlm-imdb-full-0"
    assert "pretrain@mlm-0" in steps.constant
    assert "finetune@mlm-imdb-full-0" not in steps.constant
