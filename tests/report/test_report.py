"""The report as a whole: true to the metrics, the same every time, honest where it must be."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib as mpl
import pytest
from jinja2 import TemplateNotFound
from plotly.offline import get_plotlyjs

from stages import artifacts, params, paths
from stages.diagnose.schema import Diagnosis
from stages.params import Params
from stages.report import __main__, inputs
from stages.report import page as pages
from stages.report.build import build
from stages.report.results import collect, to_csv
from stages.report.tables import texts
from tests.evaluate.made import compressing
from tests.evaluate.tracked import Tracked

COLUMNS = "objective,task,method,compressor,seed,split,metric,value,lower,upper,examples"


def built(settings: Params) -> dict[str, bytes]:
    """Build the report and read it all."""
    build(inputs.read(settings), paths.REPORTS)
    files = sorted(file for file in paths.REPORTS.rglob("*") if file.is_file())
    return {file.relative_to(paths.REPORTS).as_posix(): file.read_bytes() for file in files}


def page(settings: Params) -> str:
    """The page alone, without its figures."""
    found = inputs.read(settings)
    return pages.render(pages.content(found, collect(found)))


def change(task: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the evaluation of a task."""
    file = paths.METRICS / "evaluate" / f"{task}.json"
    content = json.loads(file.read_text())
    edit(content)
    artifacts.write_json(file, content)


def table(text: str, heading: str) -> list[dict[str, str]]:
    """The first markdown table below a heading."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| "))
    end = next(number for number, line in enumerate(lines[start:], start) if not line.startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_the_same_metrics_give_the_same_bytes(settings: Params) -> None:
    first = built(settings)
    assert [name for name in first if not name.startswith("tables/")] == [
        *(f"figures/{name}.svg" for name in ("noise", "pretraining", "reliability", "scores", "tuning")),
        "index.html", "report.md", "results.csv",
    ]  # fmt: skip
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": False}):
        assert built(settings) == first


def own(content: bytes) -> bytes:
    """A page without the code of the library that draws its figures."""
    return content.replace(get_plotlyjs().encode(), b"")


def test_no_file_tells_when_or_where_it_was_made(settings: Params, tmp_path: Path) -> None:
    for name, content in built(settings).items():
        assert str(tmp_path).encode() not in content, name
        assert not re.search(rb"\d\d:\d\d:\d\d|<dc:date>|Matplotlib v", own(content)), name
        if name.endswith("svg"):
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"fill: #ffffff" in content


def test_results_have_the_columns_of_the_interface(settings: Params) -> None:
    text = to_csv(collect(inputs.read(settings)))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.startswith(COLUMNS + "\n")
    assert len(rows) == 3 * 2 * 7 + 2 * 13 * 6
    corpus = [row for row in rows if row["task"] == "corpus"]
    assert {(row["method"], row["compressor"], row["split"]) for row in corpus} == {("pretrain", "none", "validation")}
    assert len({tuple(row.values())[:7] for row in rows}) == len(rows)


@pytest.mark.parametrize("method", ["frozen", "full"])
def test_the_table_holds_the_numbers_of_the_csv(settings: Params, method: str) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(collect(inputs.read(settings))))))
    for line in table(page(settings), f"### `{method}`"):
        for task in settings.tasks:
            for metric in ("accuracy", "f1", "matthews"):
                chosen = {"objective": line["objective"].strip("`"), "task": task, "method": method,
                          "compressor": "none", "metric": metric}  # fmt: skip
                values = [100 * float(row["value"]) for row in rows if chosen.items() <= row.items()]
                center, spread = line[f"{task} {metric}"].strip("*†").split(" ± ")
                assert float(center) == pytest.approx(mean(values), abs=0.051)
                assert float(spread) == pytest.approx(stdev(values), abs=0.051)


def test_cells_of_runs_that_there_cannot_be_are_empty(settings: Params) -> None:
    """And the page says why; what was measured stays as it was."""
    before = table(page(settings), "### `full`")

    def drop(content: dict[str, Any]) -> None:
        gone = {(row["objective"], row["method"], row["seed"]) for row in content["rows"]}
        gone = {run for run in gone if run[:2] == ("mlm", "full")}
        content["rows"] = [row for row in content["rows"] if (row["objective"], row["method"], row["seed"]) not in gone]
        content["inapplicable"] = [
            {"objective": objective, "method": method, "compressor": "none", "seed": seed, "reason": "it has no head"}
            for objective, method, seed in sorted(gone)
        ]

    change("imdb", drop)
    text = page(settings)
    assert "- `full` of `mlm`: it has no head\n" in text
    for old, new in zip(before, table(text, "### `full`"), strict=True):
        is_gone = old["objective"] == "`mlm`"
        for column in old.keys() - {"average", "rank"}:
            kept = column == "objective" or not column.startswith("imdb") or not is_gone
            assert new[column].strip("*") == (old[column].strip("*") if kept else "–")
    assert built(settings)["figures/scores.svg"]


def test_pretraining_and_compression_hold_the_numbers_of_the_csv(settings: Params) -> None:
    text = page(settings)
    rows = list(csv.DictReader(io.StringIO(to_csv(collect(inputs.read(settings))))))
    losses = [float(row["value"]) for row in rows if (row["objective"], row["metric"]) == ("clm", "loss")]
    clm = table(text, "## Pre-training")[2]
    assert clm["loss"] == f"{mean(losses):.3f} ± {stdev(losses):.3f}"
    assert clm["tokens"] == "4,096,000"
    line = table(text, "## Compression")[0]
    after = next(row for row in rows if row["compressor"] == "int8_dynamic" and row["metric"] == "accuracy")
    assert float(line["score after"]) == pytest.approx(100 * float(after["value"]), abs=0.051)
    assert line["times smaller"] == "3.20×"


def test_what_had_no_score_has_kept_nothing(settings: Params) -> None:
    """A Matthews' correlation of zero, say."""
    gone = {"before": 0.0, "after": 0.1, "retention": None, "retention_lower": None, "retention_upper": None}
    change("imdb", lambda content: content["compressions"][0].update(gone))
    assert "`clm-frozen-0` had 0.0 and has 10.0 (× 100) accuracy at" in page(settings)


@pytest.mark.parametrize("tasks", [["imdb"], ["imdb", "rotten_tomatoes"]])
def test_compressed_models_that_there_cannot_be_have_a_dash_and_a_reason(settings: Params, tasks: list[str]) -> None:
    """And no figure elsewhere, whether there are others or none."""
    before = table(page(settings), "## Compression")
    reason = "params.yaml: compressors.int8_dynamic: it has no maps"

    def drop(content: dict[str, Any]) -> None:
        (item,) = content["compressions"]
        names = ("objective", "method", "compressor", "seed")
        content["inapplicable"] = [{name: item[name] for name in names} | {"reason": reason}]
        content["compressions"] = []
        content["rows"] = [row for row in content["rows"] if row["compressor"] == "none"]

    for task in tasks:
        change(task, drop)
    text = page(settings)
    rows = {line["task"]: line for line in table(text, "## Compression")}
    for old in before:
        kept = old["task"] not in tasks
        named = ("task", "model", "compressor")
        assert rows[old["task"]] == {name: cell if kept or name in named else "–" for name, cell in old.items()}
        assert (f"- {old['task']}, `int8_dynamic` of `clm-frozen-0`: {reason}\n" in text) != kept
        assert (f"- {old['task']}, `int8_dynamic`: `clm-frozen-0` keeps" in text) == kept
    assert "Not shown" not in text
    assert built(settings)["index.html"]


def test_a_model_that_was_never_measured_is_none_that_cannot_be_compressed(settings: Params) -> None:
    """The reason of the one stands for no figure of the other."""

    def lose(content: dict[str, Any]) -> None:
        (item,) = content["compressions"]
        run = {name: item[name] for name in ("objective", "method", "seed")}
        content["inapplicable"] = [run | {"compressor": item["compressor"], "reason": "it has no maps"}]
        content["compressions"] = []
        content["rows"] = [row for row in content["rows"] if not run.items() <= row.items()]

    change("imdb", lose)
    assert "imdb.json was not made with this params.yaml" in page(settings)


def test_what_is_left_of_each_objective_is_told(settings: Params) -> None:
    """Nothing of it where only the best model was compressed."""
    assert "What each compressor leaves" not in page(settings)
    order = {"compressor": "int8_dynamic", "objectives": 3, "rho": 0.5, "lower": -0.5, "upper": 1.0}

    def widen(content: dict[str, Any]) -> None:
        (item,) = content["compressions"]
        others = [
            item | {"objective": name, "before": 0.7, "after": 0.63, "retention": 0.9} for name in ("scratch", "mlm")
        ]
        content.update(compressions=[item, *others], orders=[order])

    for task in settings.tasks:
        change(task, widen)
    text = page(compressing(settings, "best", "scratch", "mlm"))
    cells = {line["objective"]: line["imdb int8_dynamic"] for line in table(text, "## Compression")}
    assert cells["`mlm`"] == "63.0 (90.0 %)"
    assert len(cells) == 3
    assert "the best models of 3 objectives keep 90.0 to" in text
    assert "a rank correlation of 0.50 (95 % interval over examples −0.50 to 1.00)" in text
    assert text.count("imdb, `int8_dynamic`: `clm-frozen-0` keeps") == 1


def claim(settings: Params, carried: bool) -> None:
    """Let every comparison of every task be carried, or none."""
    for task in settings.tasks:
        change(task, lambda content: [item.update(carried=carried) for item in content["comparisons"]])


def test_a_carried_winner_is_bold_and_named_first(settings: Params) -> None:
    claim(settings, carried=True)
    text = page(settings)
    assert "**Over 4 combinations of task and tuning method, the lead is carried for `clm` in 4.**" in text
    assert "imdb, `frozen`: **`clm` leads** with" in text
    cells = [line["imdb accuracy"] for line in table(text, "### `frozen`")]
    assert [cell.startswith("**") for cell in cells] == [False, False, True]


def test_what_is_not_carried_is_not_claimed(settings: Params) -> None:
    claim(settings, carried=False)
    text = page(settings)
    assert "In none of 4 combinations of task and tuning method can a winner be told." in text
    assert " leads** " not in text
    assert not any("**" in cell for line in table(text, "### `frozen`") for cell in line.values())
    assert {line["carried"] for line in table(text, "### Differences")} == {"no"}


def test_a_lead_reads_the_same_from_either_side(settings: Params) -> None:
    """A comparison that names the second before the best is turned round, sign and bounds."""

    def turn(content: dict[str, Any]) -> None:
        for item in content["comparisons"]:
            if item["against"] == "mlm":
                item.update(objective="mlm", against="clm", difference=-item["difference"])
                item.update(lower=-item["upper"], upper=-item["lower"])
                item["seeds"] = [seed | {"difference": -seed["difference"]} for seed in item["seeds"]]

    claim(settings, carried=True)
    before = page(settings).split("## Results")[0]
    change("imdb", turn)
    assert page(settings).split("## Results")[0] == before


def test_a_flagged_run_is_marked_and_named(settings: Params) -> None:
    flag = {"objective": "mlm", "method": "full", "compressor": "none", "seed": 1, "reason": "predicts class 1"}
    change("imdb", lambda content: content["flags"].append(flag))
    text = page(settings)
    assert "- imdb, `mlm-full-1`: predicts class 1" in text
    marked = {line["objective"]: line["imdb accuracy"].endswith("†") for line in table(text, "### `full`")}
    assert marked == {"`scratch`": False, "`mlm`": True, "`clm`": False}
    assert not any("†" in cell for line in table(text, "### `frozen`") for cell in line.values())


def test_a_leak_is_told(settings: Params) -> None:
    file = paths.METRICS / "split.json"
    content = json.loads(file.read_text())
    content["overlaps"]["corpus/train & imdb/test"] = 3
    artifacts.write_json(file, content)
    text = page(settings)
    assert "**held-out text of imdb stands in another set: do not trust its scores**" in text
    assert "by design: the corpus is made of training texts" in text


def test_examples_of_two_texts_may_share_one_of_them() -> None:
    """Within a task, whose pairs are compared as wholes; a text that another task holds out is a leak all the same."""
    pairs = {"rte", "mnli"}
    assert texts.meaning("rte/test & rte/train", 3, pairs).startswith("by design: examples are pairs")
    assert "do not trust" in texts.meaning("mnli/train & rte/test", 3, pairs)
    assert "do not trust" in texts.meaning("imdb/test & imdb/train", 3, pairs)


def test_unused_variants_are_left_out_of_the_parameters(settings: Params) -> None:
    text = page(settings)
    assert "movie_reviews:" in text
    assert "glue_cola" not in text
    assert "bootstrap: 300" in text


@pytest.mark.parametrize(
    "file",
    ["evaluate/imdb.json", "pretrain/mlm-1.json", "split.json", "tokenizer.json", "diagnose/imdb.json"],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "nan", "other"])
def test_broken_metrics_are_named_and_the_rest_is_shown(settings: Params, file: str, damage: str) -> None:
    """On the page, without the place of the project; what else there is keeps its numbers."""
    whole = to_csv(collect(inputs.read(settings))).splitlines()
    path = paths.METRICS / file
    text = path.read_text()
    spoiled = {"truncated": text[: len(text) // 2], "nan": re.sub(r": \d+(\.\d+)?", ": NaN", text), "other": "{}"}
    if damage == "missing":
        path.unlink()
    else:
        path.write_text(spoiled[damage])
    files = {name: content.decode() for name, content in built(settings).items()}
    for name in ("report.md", "index.html"):
        assert f"data/metrics/{file}" in files[name]
        assert str(paths.ROOT) not in files[name]
    gone = {"evaluate/imdb.json": "imdb,", "pretrain/mlm-1.json": "mlm,corpus,pretrain,none,1,"}.get(file)
    assert files["results.csv"].splitlines() == [row for row in whole if not (gone and gone in row)]


BROKEN = [b"", b"step,tokens,loss\n", b"step,tokens,loss\n200,400,nan\n", b"step,tokens\n1,2\n", b"step\n\xff\n"]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_curve_is_named(settings: Params, content: bytes) -> None:
    (paths.CURVES / "pretrain/clm-0.csv").write_bytes(content)
    (problem,) = inputs.read(settings).problems
    assert problem.startswith("data/curves/pretrain/clm-0.csv")
    assert problem in page(settings)


def test_a_missing_curve_is_named(settings: Params) -> None:
    (paths.CURVES / "pretrain/clm-0.csv").unlink()
    (problem,) = inputs.read(settings).problems
    assert re.search(r"clm-0\.csv is missing: the pretrain stage", problem)
    assert built(settings)["figures/pretraining.svg"]


def test_metrics_of_other_params_are_not_shown(settings: Params) -> None:
    found = inputs.read(settings.model_copy(update={"seeds": [0]}))
    assert not found.evaluations
    assert [problem for problem in found.problems if "was not made with this params" in problem]
    assert "Nothing was evaluated." in pages.render(pages.content(found, collect(found)))


def test_a_failed_build_leaves_the_old_report(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    before = built(settings)
    monkeypatch.setattr("stages.report.page.TEMPLATES", Path("nowhere"))
    change("imdb", lambda content: content["rows"][0].update(value=0.123))
    with pytest.raises(TemplateNotFound):
        built(settings)
    assert {name: (paths.REPORTS / name).read_bytes() for name in before} == before


def test_one_seed_and_one_objective_make_a_report_without_claims(settings: Params) -> None:
    pretrain = settings.pretrain.model_copy(update={"objectives": ["clm"]})
    compress = settings.compress.model_copy(update={"compressors": []})
    chosen = settings.model_copy(update={"pretrain": pretrain, "compress": compress, "seeds": [0]})

    def reduce(content: dict[str, Any]) -> None:
        content["rows"] = [row for row in content["rows"] if row["objective"] == "clm" and row["seed"] == 0
                           and row["compressor"] == "none"]  # fmt: skip
        content.update(comparisons=[], compressions=[])

    for task in settings.tasks:
        change(task, reduce)
    text = page(chosen)
    assert "1 seed:" in text
    assert "no other objective was trained to compare it to" in text
    assert "There are no figures of compressed models" in text
    assert " ± " not in table(text, "### `frozen`")[0]["imdb accuracy"]


def test_the_command_builds_and_keeps_copies(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = Tracked(monkeypatch)
    monkeypatch.setattr(params, "load", lambda: settings)
    __main__.main([])
    assert tracked.runs == ["report"]
    assert sorted(tracked.artifacts) == [
        "index.html",
        "noise.svg",
        "pretraining.svg",
        "reliability.svg",
        "report.md",
        "results.csv",
        "scores.svg",
        "tuning.svg",
    ]


def test_an_objective_without_likelihood_and_one_that_went_on(settings: Params) -> None:
    """No perplexity is shown where there is none; what was forgotten is, with its sign."""
    assert "### Continual pre-training" not in page(settings)
    for seed in settings.seeds:
        file = paths.METRICS / "pretrain" / f"mlm-{seed}.json"
        content = json.loads(file.read_text())
        del content["perplexity"], content["bits_per_byte"]
        artifacts.write_json(file, content | {"earlier_loss": 6.25, "forgotten": 0.5 + seed})
    text = page(settings)
    line = table(text, "## Pre-training")[1]
    assert (line["perplexity"], line["bits per byte"]) == ("–", "–")
    continual = table(text, "### Continual pre-training")
    assert [row["objective"] for row in continual] == ["`mlm`"]
    assert continual[0]["loss on the corpus"] == "6.250 ± 0.000"
    assert continual[0]["forgotten"] == "+1.000 ± 0.707"
    metrics = {row.metric for row in collect(inputs.read(settings)).rows if row.objective == "mlm"}
    assert "perplexity" not in metrics
    assert {"earlier_loss", "forgotten"} <= metrics


def test_an_adopted_checkpoint_has_no_losses(settings: Params) -> None:
    """Neither in the table nor a panel of its own."""
    for seed in settings.seeds:
        identity = {"objective": "mlm", "seed": seed, "split": "validation", "parameters": 22_713_216}
        nothing = {"step": 0, "tokens": 0, "flops": 0}
        artifacts.write_json(paths.METRICS / "pretrain" / f"mlm-{seed}.json", {**identity, **nothing})
        (paths.CURVES / "pretrain" / f"mlm-{seed}.csv").write_text("step,tokens,flops\n0,0,0\n")
    line = table(page(settings), "## Pre-training")[1]
    assert [line[name] for name in ("loss", "perplexity", "FLOPs", "parameters")] == ["–", "–", "0", "22,713,216"]
    assert built(settings)["figures/pretraining.svg"]


def accuracy(value: float) -> dict[str, Any]:
    return {"accuracy": value, "lower": value - 0.01, "upper": value + 0.01, "pairs": 1000}


def test_minimal_pairs_are_shown_for_who_scores_them(settings: Params) -> None:
    """A row for each way to score, in percent, over seeds; results have a row for all pairs and each phenomenon."""
    chosen = settings.model_copy(update={"zero_shot": params.ZeroShot(sources=["blimp"])})
    modes = {"scratch": [], "mlm": ["pseudo"], "clm": ["causal", "pseudo"]}
    for objective, named in modes.items():
        for seed in settings.seeds:
            found = {
                "overall": accuracy(0.6 + seed / 100), "over_pairs": accuracy(0.6), "paradigms": {"a": accuracy(0.5)},
                "phenomena": {"island_effects": accuracy(0.55)},
            }  # fmt: skip
            identity = {"objective": objective, "seed": seed, "source": "blimp", "equal_pairs": 0}
            target = paths.METRICS / "zero_shot" / "blimp" / f"{objective}-{seed}.json"
            artifacts.write_json(target, {**identity, "modes": dict.fromkeys(named, found)})
    lines = table(page(chosen), "## Zero-shot")
    assert [(line["objective"], line["score"]) for line in lines] == [
        ("`mlm`", "pseudo"), ("`clm`", "causal"), ("`clm`", "pseudo"),
    ]  # fmt: skip
    assert (lines[0]["all"], lines[0]["island effects"]) == ("60.5 ± 0.7", "55.0 ± 0.0")
    rows = [row for row in collect(inputs.read(chosen)).rows if row.method == "zero_shot"]
    assert {(row.task, row.metric) for row in rows if row.objective == "clm"} == {
        (task, metric)
        for task in ("blimp", "blimp/island_effects")
        for metric in ("accuracy_causal", "accuracy_pseudo")
    }
    assert all((row.lower, row.upper, row.examples) != (None, None, None) for row in rows)
    assert "zero_shot.svg" in page(chosen)
    assert built(chosen)["figures/zero_shot.svg"] == built(chosen)["figures/zero_shot.svg"]


def test_further_sets_stand_beside_their_task(settings: Params) -> None:
    """In columns and rows of their own; the task's figures stay, and no winner is told of a further set."""
    claim(settings, carried=True)
    before = page(settings)
    assert "further" not in before.split("## Pre-training")[0]

    def add(content: dict[str, Any]) -> None:
        rows = [row for row in content["rows"] if row["metric"] in content["metrics"]]
        content["rows"] += [{**row, "task": "imdb/AX", "value": row["value"] / 2} for row in rows]

    change("imdb", add)
    text = page(settings)
    assert "Columns of `imdb/AX` are of further sets" in text
    for old, new in zip(table(before, "### `frozen`"), table(text, "### `frozen`"), strict=True):
        assert {name: new[name] for name in old} == old
        assert list(new)[4:7] == ["imdb/AX accuracy", "imdb/AX f1", "imdb/AX matthews"]
        center = float(old["imdb accuracy"].strip("*").split(" ± ")[0])
        assert float(new["imdb/AX accuracy"].split(" ± ")[0]) == pytest.approx(center / 2, abs=0.051)
    rows = list(csv.DictReader(io.StringIO(to_csv(collect(inputs.read(settings))))))
    assert sum(row["task"] == "imdb/AX" for row in rows) == 13 * 3


@pytest.mark.parametrize(
    ("pair", "left", "message"),
    [
        ("imdb/AX & rte/train", 2, "held-out text of imdb stands in another set"),
        ("corpus/train & imdb/AX", 2, "held-out text of imdb stands in another set"),
        ("imdb/AX & rte/test", 2, "neither is trained on"),
        ("corpus/train & imdb/AX", 0, "shared texts were removed"),
        ("imdb/test & rte/test", 2, "held-out text of imdb and rte stands in another set"),
        ("imdb/train & rte/train", 2, "training texts of two tasks"),
    ],
)
def test_what_shared_texts_mean(pair: str, left: int, message: str) -> None:
    assert message in texts.meaning(pair, left)


def test_benchmarks_are_shown_with_what_they_have(settings: Params) -> None:
    """Those of peers without a figure of their own, those with deviations, and none of a file that is broken."""
    assert "## Benchmarks" not in page(settings)
    folder = paths.REPORTS / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "training.csv").write_text(
        "subject,peer,figure,unit,value,ratio\nengine,Trainer,training,tokens/s,19696,4.08\n"
    )
    columns = "subject,peer,figure,unit,value,ratio,deviation,peer_value,peer_deviation"
    (folder / "glue.csv").write_text(f"{columns}\nengine,Trainer,cola matthews,score,0.218,1.27,0.01,0.171,0.02\n")
    (folder / "flows.csv").write_text(f"{columns}\nflow,repro,graph,s,635,0.54,,1182,\n")
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "utf16.csv").write_text("a,b\n1,2\n", encoding="utf-16")
    text = page(settings)
    rows = table(text, "## Benchmarks")
    assert [list(row.values()) for row in rows] == [
        ["`flows`", "graph", "repro", "635 s", "1,182 s", "0.54"],
        ["`glue`", "cola matthews", "Trainer", "0.218 ± 0.010", "0.171 ± 0.020", "1.27"],
        ["`training`", "training", "Trainer", "19,696 tokens/s", "–", "4.08"],
    ]
    assert "other.csv, row 1" in text
    assert "utf16.csv is not UTF-8" in text


def test_what_is_inside_the_selected_models_is_shown(settings: Params) -> None:
    """Texts stay within their cells, whatever they hold."""
    text = page(settings)
    (first, _) = table(text, "### Calibration")
    assert list(first.values()) == ["imdb", "`clm-full-1`", "100", "6.4", "1.30"]
    assert table(text, "### Noise")[0]["loss"] == "3.1"
    assert table(text, "### Whom a text is about")[0]["difference"] == "−1.6"
    line = next(line for line in text.splitlines() if line.startswith(r"| imdb | \[CLS\]"))
    assert line.endswith(r"| positive | positive | fine, a | \`film\`, \| |")
    assert r"a \| b &lt;i>\*c\*&lt;/i>" in text


def test_without_anything_inside_there_is_no_such_part(settings: Params) -> None:
    for task in settings.tasks:
        found = Diagnosis(task=task, model="m", labels=[], reason="its answers are those of regression")
        artifacts.write_json(paths.METRICS / "diagnose" / f"{task}.json", found.model_dump())
    text = page(settings)
    assert "- imdb: its answers are those of regression\n" in text
    assert "### Calibration" not in text
    assert built(settings)["index.html"]
