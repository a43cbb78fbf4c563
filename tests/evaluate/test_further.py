"""Further sets: measured as a test set is, beside it, and of no say in what is compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stages import paths
from stages.errors import StageError
from stages.evaluate import bootstrap, evaluation, runs
from stages.metrics.classification import Classification
from stages.params import Params
from tests.evaluate import made

SETS = {"mismatched": 200, "AX": 90}


def test_they_have_rows_of_their_own(settings: Params) -> None:
    """With the values of scikit-learn and the intervals of a bootstrap over their examples; all else is as before."""
    before = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    for name, examples in SETS.items():
        made.write_further(settings, "imdb", name, examples)
    after = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    assert after.rows[: len(before.rows)] == before.rows
    assert after.model_copy(update={"rows": before.rows}) == before
    assert after.sets == ["imdb", "imdb/AX", "imdb/mismatched"]
    assert len(after.rows) - len(before.rows) == 13 * 3 * 2
    frame = pd.read_parquet(paths.PREDICTIONS / "finetuned/imdb/clm-full-1/further/mismatched.parquet")
    found = {
        row.metric: row
        for row in after.rows
        if (row.task, row.objective, row.method, row.seed, row.compressor)
        == ("imdb/mismatched", "clm", "full", 1, "none")
    }
    labels, predictions = frame["label"].to_numpy(), frame["prediction"].to_numpy()
    purpose = "imdb/mismatched"
    drawn = bootstrap.replicates(Classification(), labels, predictions[None], 2, settings.evaluate.bootstrap, purpose)
    for name, metric in (("accuracy", accuracy_score), ("f1", f1_score), ("matthews", matthews_corrcoef)):
        assert found[name].value == pytest.approx(metric(labels, predictions))
        assert [found[name].lower, found[name].upper] == bootstrap.interval(drawn[name][0]).tolist()
        assert (found[name].examples, found[name].split) == (SETS["mismatched"], "test")


def test_means_are_told_apart(settings: Params) -> None:
    made.write_further(settings, "imdb", "AX", 90)
    found = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    means = evaluation.summary(found)
    values = [
        accuracy_score(frame["label"], frame["prediction"])
        for frame in (
            pd.read_parquet(paths.PREDICTIONS / f"finetuned/imdb/mlm-frozen-{seed}/further/AX.parquet")
            for seed in settings.seeds
        )
    ]
    assert means["frozen/AX"]["mlm"]["accuracy"] == pytest.approx(np.mean(values))
    assert set(means) == {f"{way}{of}" for way in ("frozen", "full", "compressed/int8_dynamic") for of in ("", "/AX")}
    assert "frozen/AX.mlm.accuracy" in evaluation.flat(means)


@pytest.mark.parametrize("change", ["gone", "other labels", "fewer"])
def test_runs_that_answered_other_sets_are_refused(settings: Params, change: str) -> None:
    made.write_further(settings, "imdb", "AX", 90)
    file = paths.PREDICTIONS / "finetuned/imdb/mlm-frozen-0/further/AX.parquet"
    frame = pd.read_parquet(file)
    if change == "gone":
        file.unlink()
    elif change == "fewer":
        frame[:-1].to_parquet(file)
    else:
        frame.assign(label=1 - frame["label"]).to_parquet(file)
    with pytest.raises(StageError, match="mlm-frozen-0 answered different test examples"):
        runs.read(settings, "imdb")
