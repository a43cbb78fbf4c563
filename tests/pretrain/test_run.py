"""A whole run: its phases, its budget, and that a kill changes nothing."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stages import artifacts, params, paths
from stages.model import files
from stages.params import Params
from stages.pretrain.run import Run
from stages.tokenizer import files as tokenizer_files
from stages.tokenizer import train as tokenizer_training
from stages.training import loop
from tests.pretrain.corpus import write
from tests.training.toy import Silent

ENTRIES = {
    "scratch": {},
    "mlm": {"mlm_probability": 0.3},
    "clm_then_mlm": {
        "phases": [
            {"objective": "clm", "share": 0.5},
            {"objective": "mlm", "share": 0.5, "mlm_probability": 0.3},
        ]
    },
}
FLOPS = 2.0e9


class Watched(Silent):
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []
        self.rows: list[dict[str, float]] = []

    def step(self, step: int, tokens: int, loss: float) -> None:
        self.told.append(step)

    def evaluated(self, row: dict[str, float]) -> None:
        self.rows.append(row)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Small parameters, a packed made language and a tokenizer."""
    for name in ("TOKENIZER", "PACKED", "GATHERED", "STATE"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    content: dict[str, Any] = params.load().model_dump()
    content["engine"] = {"precision": "fp32", "threads": 1}
    content["tokenizer"]["vocab_size"] = 400
    content["model"] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    content["objectives"] = ENTRIES
    changes = {"objectives": list(ENTRIES), "budget": {"flops": FLOPS}, "sequence_length": 32, "batch_size": 8}
    content["pretrain"] |= {**changes, "evaluations": 4}
    loaded = params.parse(Params, content, "params.yaml")
    words = lambda: iter([["the made words of a small language " * 20]])  # noqa: E731
    tokenizer_files.save(tokenizer_training.train(words, loaded.tokenizer), paths.TOKENIZER)
    for seed, part in enumerate(("train", "validation")):
        write(paths.PACKED / part, 300, seed)
    for name in ENTRIES:
        artifacts.write_json(paths.gathered(name) / "gathered.json", {})
    return loaded


@pytest.mark.parametrize("name", ENTRIES)
def test_a_run_spends_its_budget(name: str, settings: Params) -> None:
    """Within a step of each phase; the curve counts on over phases, and so does the number of tokens that was told."""
    run = Run(settings, name, 0)
    result = run.train(Silent())
    last = result.curve[-1]
    assert last["tokens"] == run.tokens
    for before, after in zip(result.curve, result.curve[1:], strict=False):
        assert all(after[name] > before[name] for name in ("step", "tokens", "flops"))
    if name == "scratch":
        assert (len(result.curve), last["flops"]) == (1, 0)
    else:
        phases = len(ENTRIES[name].get("phases", [0]))  # type: ignore[arg-type]
        assert 0.94 * FLOPS < last["flops"] <= FLOPS
        assert [row["phase"] for row in result.curve] == [phase for phase in range(phases) for _ in range(4)]


@pytest.mark.parametrize("name", [name for name in ENTRIES if name != "scratch"])
def test_who_watches_is_told_the_curve_of_the_run(name: str, settings: Params) -> None:
    """Steps, and held-out figures with what they cost, count on over phases for the tracking server too."""
    watched = Watched()
    curve = Run(settings, name, 0).train(watched).curve
    assert watched.told == list(range(1, int(curve[-1]["step"]) + 1))
    trained = [{key: value for key, value in row.items() if key != "phase"} for row in curve if row["step"]]
    assert watched.rows == trained


def test_a_phase_starts_from_the_weights_of_the_one_before(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the second phase trains begins as what the first one left."""
    seen: list[dict[str, torch.Tensor]] = []
    original = loop.train

    def watched(workload: Any, *arguments: Any) -> Any:
        seen.append({name: value.clone() for name, value in workload.model.state_dict().items()})
        curve = original(workload, *arguments)
        seen.append({name: value.clone() for name, value in workload.model.state_dict().items()})
        return curve

    monkeypatch.setattr("stages.pretrain.run.train", watched)
    Run(settings, "clm_then_mlm", 0).train(Silent())
    first, left, taken_up, _ = seen
    assert any(not torch.equal(first[name], left[name]) for name in left)
    assert all(torch.equal(left[name], taken_up[name]) for name in left)


def test_a_model_says_how_its_last_phase_scores_texts(settings: Params, tmp_path: Path) -> None:
    """In its folder, for whoever asks it without any tuning."""
    for name, modes in (("mlm", ("pseudo",)), ("clm_then_mlm", ("pseudo",)), ("scratch", ("causal", "pseudo"))):
        Run(settings, name, 0).train(Silent()).save(tmp_path / name)
        assert files.scoring(tmp_path / name) == modes


@pytest.mark.parametrize("stops", [(5, 20), (30, 3)])
def test_a_run_of_phases_that_is_interrupted_twice_changes_no_bit(
    stops: tuple[int, int], settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever phase it was in; phases that were done are not done again."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole = Run(settings, "clm_then_mlm", 1).train(Silent())
    steps = int(whole.curve[-1]["step"])
    Run(settings, "clm_then_mlm", 1).discard()
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            Run(settings, "clm_then_mlm", 1).train(Silent(stop_after=stop))
    last = Silent()
    run = Run(settings, "clm_then_mlm", 1)
    resumed = run.train(last)
    assert last.steps <= steps - sum(stops) + 4
    assert resumed.curve == whole.curve
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    run.discard()
    assert not list((paths.STATE / "checkpoints").iterdir())


def test_seconds_are_kept(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget in seconds ends with the step that uses it up, and evaluates as often as any other.

    By a clock on which each step takes a 32nd of a second: a real one on a busy machine may jump over an evaluation.
    """
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) / 32, monotonic=time.monotonic)
    monkeypatch.setattr(loop, "time", clock)
    timed = settings.pretrain.model_copy(update={"budget": params.Budget(seconds=1.0)})
    run = Run(settings.model_copy(update={"pretrain": timed}), "mlm", 0)
    observer = Silent()
    curve = run.train(observer).curve
    assert run.tokens is None
    assert [row["step"] for row in curve] == [8, 16, 24, 32]
    assert observer.steps == 32
