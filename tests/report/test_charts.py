"""The figures of the page: what Plotly accepts, and the numbers of the metrics."""

from __future__ import annotations

from statistics import mean

import plotly.graph_objects as go
import pytest

from stages.params import Params
from stages.report import inputs
from stages.report.charts import Chart, compression, pretraining, scores, tuning
from stages.report.inputs import Inputs
from stages.report.results import Results, collect


@pytest.fixture
def found(settings: Params) -> Inputs:
    return inputs.read(settings)


@pytest.fixture
def results(found: Inputs) -> Results:
    return collect(found)


def drawn(chart: Chart) -> list[go.Scatter]:
    """Its traces, checked by the library: an unknown key or a bad value is an error."""
    return list(go.Figure({"data": chart["data"], "layout": chart["layout"]}).data)


def test_scores_are_means_over_seeds_within_the_axis(found: Inputs, results: Results) -> None:
    evaluation = found.evaluations[0]
    chart = scores.scores(found, results, evaluation)
    traces = drawn(chart)
    assert [trace.name for trace in traces] == found.params.finetune.methods
    low, high = chart["layout"]["xaxis"]["range"]
    for trace in traces:
        assert list(trace.y) == found.params.pretrain.objectives
        for objective, value in zip(trace.y, trace.x, strict=True):
            rows = results.cell(objective, evaluation.task, trace.name, evaluation.metric)
            assert value == pytest.approx(100 * mean(row.value for row in rows), abs=1e-3)
            assert low < value < high


def test_pretraining_has_a_line_a_seed_against_either_unit(found: Inputs) -> None:
    chart = pretraining.pretraining(found)
    traces = drawn(chart)
    trained = [name for name in found.params.pretrain.objectives if name != "scratch"]
    assert [trace.name for trace in traces] == [name for name in trained for _ in found.params.seeds]
    assert sum(trace.showlegend for trace in traces) == len(trained)
    units = [view["label"] for view in chart["views"]]
    assert units == ["floating-point operations", "tokens"]
    curve = found.curves[trained[0], found.params.seeds[0]]
    assert list(traces[0].x) == chart["views"][0]["x"][0] == [point.flops for point in curve]
    assert chart["views"][1]["x"][0] == [point.tokens for point in curve]


def test_tuning_is_against_what_is_trained(found: Inputs, results: Results) -> None:
    evaluation = found.evaluations[0]
    for trace in drawn(tuning.tuning(found, results, evaluation)):
        methods = [words[0] for words in trace.customdata]
        assert list(trace.x) == sorted(trace.x)
        for method, value in zip(methods, trace.y, strict=True):
            rows = results.cell(trace.name, evaluation.task, method, evaluation.metric)
            assert value == pytest.approx(100 * mean(row.value for row in rows), abs=1e-3)


def test_compression_joins_what_none_beats() -> None:
    """By brute force: no other point is as small and as good."""
    points = [
        {"name": str(place), "bytes": size, "score": score}
        for place, (size, score) in enumerate([(10, 0.5), (20, 0.4), (20, 0.7), (30, 0.7), (40, 0.9), (5, 0.1)])
    ]
    expected = [
        point
        for point in points
        if not any(
            other["bytes"] <= point["bytes"] and other["score"] >= point["score"] for other in points if other != point
        )
    ]
    assert compression.front(points) == sorted(expected, key=lambda point: point["bytes"])


def test_compression_shows_each_compressor_beside_the_original(found: Inputs) -> None:
    evaluation = found.evaluations[0]
    front, *traces = drawn(compression.compression(evaluation))
    assert [trace.name for trace in traces] == ["uncompressed", *(item.compressor for item in evaluation.compressions)]
    assert traces[0].x[0] == evaluation.compressions[0].bytes_before
    assert front.name == "best at their size"
