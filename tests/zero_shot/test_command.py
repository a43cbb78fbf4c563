"""The command on a saved model and a small table of pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import artifacts, params, paths
from stages.errors import StageError
from stages.model import files
from stages.model.config import TransformerConfig
from stages.model.transformer import LanguageModel, initialize
from stages.params import Params
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer.train import train as train_tokenizer
from stages.training import precision
from stages.zero_shot import __main__, pairs, scoring
from stages.zero_shot.schema import ZeroShot
from tests.evaluate.tracked import Tracked
from tests.pretrain.made import generator
from tests.tokenizer.conftest import make_texts

COMMAND = ["--source", "pairs", "--objective", "mlm", "--seed", "3"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A project that holds a tokenizer, a model and pairs, of which one has equal sentences."""
    for name in ("RAW", "METRICS", "MODELS", "TOKENIZER"):
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.ROOT))
    plain = params.load()
    wordpiece = params.Tokenizer(algorithm="wordpiece", vocab_size=450, lowercase=True)
    engine = plain.engine.model_copy(update={"threads": 1, "precision": "fp32"})
    settings = plain.model_copy(update={"tokenizer": wordpiece, "engine": engine})
    monkeypatch.setattr(params, "load", lambda: settings)
    tokenizer_files.save(train_tokenizer(lambda: iter([make_texts(250, 1)]), wordpiece), paths.TOKENIZER)
    model = LanguageModel(TransformerConfig(450, 32, 2, 2, 48))
    initialize(model, generator())
    files.save(paths.pretrained("mlm", 3), model, paths.TOKENIZER, ("causal", "pseudo"))
    good, bad = make_texts(40, 3), [*make_texts(39, 4), make_texts(40, 3)[-1]]
    columns = {"sentence_good": good, "sentence_bad": bad, "UID": ["a", "b"] * 20, "linguistics_term": ["x"] * 40}
    paths.raw("pairs").mkdir(parents=True)
    pq.write_table(pa.table(columns), paths.raw("pairs") / "train.parquet")
    return settings


def share_of_good(settings: Params) -> float:
    """How often the encoder itself, pair by pair, finds the good sentence likelier."""
    folder = paths.pretrained("mlm", 3)
    model, tokenizer, dtype = files.load(folder), tokenizer_files.load(folder), precision.compute_dtype(settings.engine)
    right = []
    for pair in pairs.read("pairs").pairs:
        good, bad = scoring.score(model, scoring.encode(tokenizer, [pair.good, pair.bad]), "pseudo", dtype)
        right.append(good > bad)
    return sum(right) / len(right)


def test_the_command_writes_the_same_bytes_twice(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mode of the model, and the summary of it for the tracking store."""
    tracked, target, written = Tracked(monkeypatch), paths.METRICS / "zero_shot/pairs/mlm-3.json", []
    for _ in range(2):
        __main__.main(COMMAND)
        written.append(target.read_bytes())
    assert written[0] == written[1]
    result = params.parse(ZeroShot, json.loads(written[0]), target.name)
    assert (result.objective, result.seed, result.source, result.equal_pairs) == ("mlm", 3, "pairs", 1)
    assert list(result.modes) == ["causal", "pseudo"]
    found = result.modes["pseudo"]
    assert {name: each.pairs for name, each in found.paradigms.items()} == {"a": 20, "b": 19}
    assert found.over_pairs.accuracy == pytest.approx(share_of_good(project))
    assert tracked.runs == ["zero-shot · pairs · mlm · seed 3"] * 2
    assert tracked.summaries[0]["pseudo.overall"] == found.overall.accuracy
    assert tracked.summaries[0]["causal.x"] == result.modes["causal"].phenomena["x"].accuracy


def test_a_model_that_scores_nothing_has_no_modes(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even opened, for a checkpoint that was taken as it is has another layout."""
    tracked = Tracked(monkeypatch)
    folder = paths.pretrained("mlm", 3)
    artifacts.write_json(folder / files.CONFIG, artifacts.read_json(folder / files.CONFIG) | {"scoring": []})
    (folder / files.WEIGHTS).unlink()
    __main__.main(COMMAND)
    assert json.loads((paths.METRICS / "zero_shot/pairs/mlm-3.json").read_text())["modes"] == {}
    assert tracked.summaries == [{}]


def test_what_is_missing_is_named(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    Tracked(monkeypatch)
    with pytest.raises(StageError, match=r"mlm-4.*config\.json is missing"):
        __main__.main([*COMMAND[:-1], "4"])
    with pytest.raises(StageError, match=r"bert-3.*config\.json is missing"):
        __main__.main(["--source", "pairs", "--objective", "bert", "--seed", "3"])
    with pytest.raises(StageError, match="source blimp is not here"):
        __main__.main(["--source", "blimp", "--objective", "mlm", "--seed", "3"])
