"""The stage from a selected checkpoint with a tokenizer of its own to a small model that answers."""

from __future__ import annotations

import numpy as np
import pytest

from stages import artifacts, params, paths, record
from stages.compress import files, material
from stages.compress.__main__ import main
from stages.compress.cell import Cell
from stages.errors import StageError
from stages.finetune import files as tuned_files
from stages.finetune import tasks
from stages.finetune.run import finetune
from stages.finetune.tokenization import Tokenization
from stages.params import Params
from stages.predict.predictor import Predictor
from stages.select import choose
from tests.finetune.test_run import scored, settings, tune  # noqa: F401 - a fixture
from tests.training.toy import Silent

CELL = Cell("imdb", paths.BEST, "small")
CHAIN = [
    {"compressor": "prune_neurons", "sparsity": 0.5, "recovery": {"epochs": 2, "batch_size": 16}},
    "vocabulary",
    "int8_dynamic",
]


HINDERED = [CHAIN[0], {"compressor": "distill", "num_hidden_layers": 9}]
"""It trains, and then asks for layers that the model has not."""


@pytest.fixture
def selected(settings: Params) -> Params:  # noqa: F811
    """With a selected model, and a chain that compresses it."""
    compressors = {"compress": settings.compress.model_copy(update={"compressors": ["small"]})}
    made = settings.model_copy(
        update={
            "finetune": settings.finetune.model_copy(update={"methods": ["full"]}),
            "compressors": {"small": CHAIN},
            **compressors,
        }
    )
    folder = tune(made, "full")
    scored(made, folder, tuned_files.load(folder), folder.name)
    choose.write(choose.choose(made, "imdb")[paths.BEST], paths.selected("imdb"))
    return made


def test_examples_are_those_that_the_model_was_fitted_to(selected: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn with its seed, read with its tokenizer; the validation examples are those that it was chosen by."""
    given = material.gather(selected, CELL, Silent())
    seen = {}
    monkeypatch.setattr("stages.finetune.intermediate.fit", lambda *arguments: seen.update(job=arguments[-1]))
    finetune(selected, "imdb", "theirs", "full", 0, given.checkpoint("unused"), Silent())
    for name in ("train", "validation"):
        ours, theirs = getattr(given, name), getattr(seen["job"], name)
        places = np.arange(len(theirs))
        assert len(ours) == len(theirs) == {"train": 200, "validation": 100}[name]
        assert ours.batch(places).input_ids.equal(theirs.batch(places).input_ids)
    assert (given.seed, given.dtype) == (seen["job"].seed, seen["job"].dtype)


def test_the_stage_writes_a_model_that_answers(selected: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly as well, and the state of what was trained is gone."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{paths.ROOT / 'mlflow.db'}")
    monkeypatch.setattr(params, "load", lambda: selected)
    main(["--task", "imdb", "--compressor", "small"])
    folder, noted = CELL.target, artifacts.read_json(CELL.predictions / "run.json")
    assert noted["compressor"] == "small"
    whole = sum(parameter.numel() for parameter in tuned_files.load(paths.selected("imdb")).parameters())
    assert whole - 2 * 24 * 65 - 32 * 28 <= noted["parameters"] < whole - 2 * 24 * 65
    assert noted["nonzero"] == files.nonzero(folder)
    assert noted["bytes"] == tuned_files.size(folder) < noted["bytes_before"] / 2
    before = artifacts.read_json(paths.selected("imdb") / "run.json")["validation"]["accuracy"]
    assert noted["validation"]["accuracy"] > before - 0.05
    assert not CELL.checkpoints.exists()
    tokenization = Tokenization.of(folder, 22)
    validation = tasks.read("imdb").validation("imdb", tokenization, selected.finetune)
    one = validation.batch(np.arange(3))
    assert files.load(folder)(one.input_ids, one.attention_mask).shape == (3, 2)


def test_a_compressor_that_does_not_fit_leaves_its_reason(
    selected: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the place of an earlier model and of its predictions, for whoever reads them; and the stage does not fail."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{paths.ROOT / 'mlflow.db'}")
    for chain in (["vocabulary"], HINDERED):
        changed = selected.model_copy(update={"compressors": {"small": chain}})
        monkeypatch.setattr(params, "load", lambda changed=changed: changed)
        main(["--task", "imdb", "--compressor", "small"])
        assert (record.absence(CELL.target) is not None) == (chain is HINDERED)
    reason = "params.yaml: compressors.small.1: num_hidden_layers: the model has only 2 that its head reads"
    expected = record.Absence(objective="theirs", method="full", compressor="small", seed=0, reason=reason)
    for folder in (CELL.target, CELL.predictions):
        assert record.absence(folder) == expected
        assert [file.name for file in folder.iterdir()] == [record.FILE]
    assert f"small of imdb's best cannot be: {reason}" in capsys.readouterr().out
    assert not CELL.checkpoints.exists()
    with pytest.raises(StageError, match=r"holds no model, for there cannot be one: .*has only 2"):
        Predictor(CELL.target)
