from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages import paths
from stages.errors import StageError
from stages.evaluate import runs
from stages.params import Params
from tests.evaluate import made

RUN = Path("finetuned/imdb/mlm-frozen-0")


def test_runs_come_in_the_order_of_the_params_and_leftovers_are_ignored(settings: Params) -> None:
    leftover = paths.PREDICTIONS / "finetuned/imdb/rtd-frozen-0"
    leftover.mkdir()
    found = [run.record.name for run in runs.read(settings, "imdb").runs]
    assert found[:4] == ["scratch-frozen-0", "scratch-frozen-1", "scratch-full-0", "scratch-full-1"]
    assert found[-1] == "clm-frozen-0 + int8_dynamic"
    assert len(found) == 13


def test_an_unlisted_task_is_named(settings: Params) -> None:
    with pytest.raises(StageError, match=r"'cola'.*tasks"):
        runs.read(settings, "cola")


def test_a_missing_run_names_the_stage_that_makes_it(settings: Params) -> None:
    (paths.PREDICTIONS / RUN).rename(paths.PREDICTIONS / "elsewhere")
    with pytest.raises(StageError, match=r"mlm-frozen-0 is missing: the finetune stage"):
        runs.read(settings, "imdb")


def test_a_missing_compressed_model_names_the_stage_that_makes_it(settings: Params) -> None:
    (paths.PREDICTIONS / "compressed/imdb/best/int8_dynamic").rename(paths.PREDICTIONS / "elsewhere")
    with pytest.raises(StageError, match=r"int8_dynamic is missing: the compress stage"):
        runs.read(settings, "imdb")


def test_a_model_compressed_under_other_params_is_refused(settings: Params) -> None:
    other = settings.pretrain.model_copy(update={"objectives": ["scratch", "mlm"]})
    with pytest.raises(StageError, match=r"clm-frozen-0, which params.yaml no longer lists"):
        runs.read(settings.model_copy(update={"pretrain": other}), "imdb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "holds the run"),
        ({"split": "validation"}, "not on test"),
        ({"bytes": "many"}, "bytes"),
        ({"validation": {"accuracy": float("nan")}}, "accuracy"),
    ],
)
def test_a_wrong_record_is_refused(settings: Params, change: dict[str, object], message: str) -> None:
    file = paths.PREDICTIONS / RUN / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(StageError, match=message):
        runs.read(settings, "imdb")


def test_truncated_predictions_are_refused(settings: Params) -> None:
    file = paths.PREDICTIONS / RUN / "predictions.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(StageError, match="is not readable"):
        runs.read(settings, "imdb")


def spoil(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame.index[3], column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("score_0", np.nan), "empty cells|not finite"),
        (spoil("score_0", np.inf), "not finite"),
        (spoil("score_1", 7.0), "must sum to 1"),
        (spoil("prediction", 2), "outside of its 2 classes"),
        (spoil("id", "0" * 16), "twice"),
        (spoil("id", "f" * 16), "answered different test examples"),
        (spoil("label", 5), "outside"),
        (lambda frame: frame.drop(columns="score_1"), "no column score_1"),
        (lambda frame: frame.rename(columns={"label": "target"}), "no column label"),
        (lambda frame: frame[:0], "no rows"),
        (lambda frame: frame[:-1], "answered different test examples"),
        (lambda frame: frame.assign(label=1 - frame["label"]), "answered different test examples"),
    ],
)  # fmt: skip
def test_predictions_that_cannot_be_scored_are_refused(
    settings: Params, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    file = paths.PREDICTIONS / RUN / "predictions.parquet"
    change(pd.read_parquet(file)).to_parquet(file)
    with pytest.raises(StageError, match=message):
        runs.read(settings, "imdb")


def test_the_order_of_rows_does_not_matter(settings: Params) -> None:
    before = runs.read(settings, "imdb").runs
    file = paths.PREDICTIONS / RUN / "predictions.parquet"
    pd.read_parquet(file).sample(frac=1, random_state=0).to_parquet(file, index=False)
    for old, new in zip(before, runs.read(settings, "imdb").runs, strict=True):
        np.testing.assert_array_equal(old.predictions.predictions, new.predictions.predictions)


def test_made_runs_cover_what_the_params_list(settings: Params) -> None:
    assert set(made.ACCURACY) == set(settings.pretrain.objectives)
