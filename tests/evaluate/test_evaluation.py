from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stages import artifacts, params, paths
from stages.errors import StageError
from stages.evaluate import __main__, evaluation, runs
from stages.evaluate.predictions import Predictions
from stages.evaluate.schema import Evaluation
from stages.params import Params
from tests.evaluate import made
from tests.evaluate.tracked import Tracked
from tests.recorded import note_absence

KEYS = [
    "objective", "task", "method", "compressor", "seed", "split", "metric", "value", "lower", "upper", "examples",
]  # fmt: skip


@pytest.fixture
def found(settings: Params) -> Evaluation:
    return evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))


def test_a_row_has_exactly_the_columns_of_the_interface(found: Evaluation) -> None:
    assert all(list(row.model_dump()) == KEYS for row in found.rows)
    assert len(found.rows) == 13 * 6


def test_values_are_those_of_the_predictions(found: Evaluation) -> None:
    frame = pd.read_parquet(paths.PREDICTIONS / "finetuned/imdb/clm-full-1/predictions.parquet")
    values = {row.metric: row for row in found.rows if (row.objective, row.method, row.seed) == ("clm", "full", 1)}
    assert values["accuracy"].value == accuracy_score(frame.label, frame.prediction)
    assert values["f1"].value == f1_score(frame.label, frame.prediction)
    assert values["matthews"].value == matthews_corrcoef(frame.label, frame.prediction)
    assert values["accuracy"].examples == made.EXAMPLES
    for name in ("accuracy", "f1", "matthews"):
        assert values[name].lower < values[name].value < values[name].upper  # type: ignore[operator]
    assert (values["bytes"].value, values["bytes"].lower, values["bytes"].split) == (8_000_000, None, "none")


def test_the_clear_winner_is_carried(found: Evaluation) -> None:
    pairs = [(item.objective, item.against) for item in found.comparisons if item.method == "frozen"]
    assert pairs == [("mlm", "scratch"), ("clm", "scratch"), ("clm", "mlm")]
    for item in found.comparisons:
        assert item.difference == pytest.approx(np.mean([seed.difference for seed in item.seeds]))
        assert item.p <= item.p_holm  # type: ignore[operator]


def test_compression_is_compared_to_the_model_it_was_made_from(found: Evaluation) -> None:
    (item,) = found.compressions
    before = next(row for row in found.rows if (row.objective, row.method, row.seed) == ("clm", "frozen", 0))
    assert item.before == before.value
    assert item.after - item.before == item.difference
    assert item.lower <= item.difference <= item.upper
    assert item.retention == item.after / item.before
    assert item.retention_lower <= item.retention <= item.retention_upper  # type: ignore[operator]
    assert (item.bytes_before, item.bytes_after) == (8_000_000, 2_500_000)


def test_the_order_of_objectives_is_compared_before_and_after(settings: Params) -> None:
    """With SciPy's rank correlation; a model that is the best of all and of its objective counts once."""
    assert evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb")).orders == []
    asked = made.compressing(settings, "best", "scratch", "mlm", "clm")
    made.write_predictions(asked)
    folder = paths.compressed_predictions("imdb", "scratch", "int8_dynamic")
    frame = pd.read_parquet(folder / "predictions.parquet")
    frame.assign(prediction=frame["label"]).to_parquet(folder / "predictions.parquet")  # now the best of all
    found = evaluation.evaluate(asked, "imdb", runs.read(asked, "imdb"))
    assert [item.objective for item in found.compressions] == ["clm", "scratch", "mlm"]
    assert [item.objective for model in ("best", "clm") for item in found.of_model(model)] == ["clm", "clm"]
    (order,) = found.orders
    before, after = ([getattr(item, side) for item in found.compressions] for side in ("before", "after"))
    assert (order.compressor, order.objectives) == ("int8_dynamic", 3)
    assert order.rho == pytest.approx(spearmanr(before, after).statistic) == -0.5
    assert -1 <= order.lower <= order.rho <= order.upper <= 1
    means = evaluation.summary(found)
    assert means["compressed/int8_dynamic"]["mlm"]["accuracy"] == found.of_model("mlm")[0].after


def test_what_was_trained_beside_frozen_weights_is_not_the_size_of_the_model(settings: Params) -> None:
    """That of the whole model, which was compressed, the compressed one's record tells."""
    file = paths.PREDICTIONS / "compressed/imdb/best/int8_dynamic/run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "bytes_before": 9_000_000}))
    (item,) = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb")).compressions
    assert item.bytes_before == 9_000_000


def test_a_model_with_one_answer_is_flagged_and_claims_nothing(settings: Params) -> None:
    file = paths.PREDICTIONS / "finetuned/imdb/mlm-frozen-1/predictions.parquet"
    frame = pd.read_parquet(file)
    frame.assign(prediction=1).to_parquet(file)
    found = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    (flag,) = found.flags
    assert (flag.objective, flag.method, flag.seed) == ("mlm", "frozen", 1)
    assert flag.reason == "predicts class 1 for every example"
    assert not any(item.carried for item in found.comparisons if "mlm" in (item.objective, item.against)
                   and item.method == "frozen")  # fmt: skip


def test_a_model_with_one_score_is_flagged() -> None:
    """One that answers by but a few different scores is not."""
    record = runs.Record(**{**made.record("mlm", "stsb", "full", 1), "family": "regression", "metric": "pearson"})
    ids, labels = np.array(["a", "b", "c"], dtype=object), np.array([1.0, 2.0, 3.0])
    dull, some = (
        runs.Run(record, Predictions(ids, labels, np.array(said), 0)) for said in ([2.5, 2.5, 2.5], [2.5, 2.5, 2.6])
    )
    assert evaluation.is_degenerate(dull)
    assert evaluation.flag(dull).reason == "predicts 2.5 for every example"
    assert not evaluation.is_degenerate(some)


def test_a_single_objective_and_seed_can_be_evaluated(settings: Params) -> None:
    pretrain = settings.pretrain.model_copy(update={"objectives": ["clm"]})
    chosen = settings.model_copy(update={"pretrain": pretrain, "seeds": [0]})
    assert evaluation.evaluate(chosen, "imdb", runs.read(chosen, "imdb")).comparisons == []


def test_one_seed_claims_nothing(settings: Params) -> None:
    chosen = settings.model_copy(update={"seeds": [0]})
    found = evaluation.evaluate(chosen, "imdb", runs.read(chosen, "imdb"))
    assert [(item.p, item.p_holm, item.carried) for item in found.comparisons] == [(None, None, False)] * 6


def test_the_command_writes_the_same_bytes_twice(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = Tracked(monkeypatch)
    monkeypatch.setattr(params, "load", lambda: settings)
    written = []
    for _ in range(2):
        __main__.main(["--task", "imdb"])
        written.append([(paths.METRICS / kind / "imdb.json").read_bytes() for kind in ("evaluate", "scores")])
    assert written[0] == written[1]
    assert tracked.runs == ["evaluate · imdb"] * 2
    means = json.loads(written[0][1])
    assert tracked.summaries[-1]["frozen.clm.accuracy"] == means["frozen"]["clm"]["accuracy"]
    content = artifacts.read_json(paths.METRICS / "evaluate/imdb.json")
    assert params.parse(Evaluation, content, "imdb.json").task == "imdb"


def make_inapplicable(*names: str) -> None:
    """Let these runs have no predictions, and say why."""
    for name in names:
        objective, method, seed = name.split("-")
        note_absence(paths.PREDICTIONS / "finetuned/imdb" / name, objective=objective, method=method, seed=seed)


def test_runs_that_there_cannot_be_are_left_out(settings: Params) -> None:
    """Their objective is compared with nothing under that method, and everything else as before."""
    before = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    make_inapplicable("mlm-full-0", "mlm-full-1")
    after = evaluation.evaluate(settings, "imdb", runs.read(settings, "imdb"))
    assert [(run.objective, run.method, run.seed) for run in after.inapplicable] == [
        ("mlm", "full", 0),
        ("mlm", "full", 1),
    ]
    assert after.rows == [row for row in before.rows if (row.objective, row.method) != ("mlm", "full")]
    pairs = {(item.objective, item.against) for item in after.comparisons if item.method == "full"}
    assert pairs == {("clm", "scratch")}
    assert len([item for item in after.comparisons if item.method == "frozen"]) == 3


@pytest.mark.parametrize("gone", ["best", "mlm"])
def test_compressed_models_that_there_cannot_be_are_left_out(settings: Params, gone: str) -> None:
    """All else is as before; the best of all is known by its objective even if nothing could be made of it."""
    asked = made.compressing(settings, "best", "scratch", "mlm")
    made.write_predictions(asked)
    before = evaluation.evaluate(asked, "imdb", runs.read(asked, "imdb"))
    objective = {"best": "clm"}.get(gone, gone)
    told = note_absence(
        paths.compressed_predictions("imdb", gone, "int8_dynamic"),
        objective=objective, method="frozen", compressor="int8_dynamic",
    )  # fmt: skip
    after = evaluation.evaluate(asked, "imdb", runs.read(asked, "imdb"))
    assert (after.inapplicable, after.uncompressible, after.best) == ([told], [told], "clm")
    assert after.compressions == [item for item in before.compressions if item.objective != objective]
    assert after.rows == [row for row in before.rows if (row.objective, row.compressor) != (objective, "int8_dynamic")]
    assert after.comparisons == before.comparisons
    assert [after.tried(model) for model in ("best", "mlm")] == [["int8_dynamic"]] * 2
    assert bool(after.of_model("best")) == (gone != "best")


def test_reasons_of_other_models_are_refused(settings: Params) -> None:
    """As are answers."""
    note_absence(paths.compressed_predictions("imdb", "best", "int8_dynamic"), compressor="onnx")
    with pytest.raises(StageError, match=r"holds the run .*'onnx'"):
        runs.read(settings, "imdb")


def test_a_task_that_nobody_can_answer_is_named(settings: Params) -> None:
    chosen = settings.model_copy(
        update={"seeds": [0], "compress": settings.compress.model_copy(update={"compressors": []})}
    )
    make_inapplicable(*(f"{name}-{method}-0" for name in ("scratch", "mlm", "clm") for method in ("frozen", "full")))
    with pytest.raises(StageError, match="no method fits any objective: it has no head"):
        runs.read(chosen, "imdb")
