"""What Optuna keeps of a search: better than chance, the same again, and gone on with wherever it was killed."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from flows.search.space import Space
from flows.search.study import Study
from stages.errors import StageError

LOW, HIGH = 1e-5, 1.0
SPACE: dict[str, Any] = {
    "study": "s",
    "stages": ["train"],
    "goal": {"file": "m.json", "key": "score", "direction": "maximize"},
    "parameters": {
        "a.rate": {"kind": "float", "low": LOW, "high": HIGH, "log": True},
        "a.size": {"kind": "int", "low": 1, "high": 9},
        "a.way": {"kind": "categorical", "choices": ["near", "far"]},
    },
    "trials": 30,
    "random": 8,
}


def score(params: dict[str, Any]) -> float:
    """Highest, at 0, where the rate is 0.01, the size 6 and the way near."""
    return -abs(math.log10(params["a.rate"]) + 2) - abs(params["a.size"] - 6) / 4 - (params["a.way"] == "far")


def opened(folder: Path, others: dict[str, Any] | None = None, **changes: Any) -> Study:
    space = Space.model_validate(SPACE | changes)
    return Study(space, others or {}, f"sqlite:///{folder / 'optuna.db'}", folder)


def run(study: Study, limit: float = math.inf) -> Iterator[dict[str, Any]]:
    """Run trials, and give what was drawn for each."""
    while limit > 0 and (trial := study.ask("w")):
        limit -= 1
        study.complete(trial, score(trial.params))
        yield trial.params


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is drawn in a search that nothing interrupts."""
    return [*run(opened(tmp_path_factory.mktemp("whole")))]


def test_it_finds_more_than_chance(whole: list[dict[str, Any]]) -> None:
    """Than what as many draws find in 19 of 20 cases, which is computed here."""
    draw = random.Random(0)

    def by_chance() -> float:
        rate = math.exp(draw.uniform(math.log(LOW), math.log(HIGH)))
        return score({"a.rate": rate, "a.size": draw.randint(1, 9), "a.way": draw.choice(["near", "far"])})

    bests = [max(by_chance() for _ in range(SPACE["trials"])) for _ in range(400)]
    assert len(whole) == SPACE["trials"]
    assert max(map(score, whole)) > statistics.quantiles(bests, n=20)[-1]


def test_another_seed_draws_other_trials(whole: list[dict[str, Any]], tmp_path: Path) -> None:
    drawn = [*run(opened(tmp_path, seed=1), 2)]
    assert not any(trial in whole for trial in drawn)
    assert drawn[0] != drawn[1]


def test_a_search_that_is_interrupted_draws_what_it_would_have_drawn(
    whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The same seed, the same trials: while they are drawn evenly, and when TPE draws them."""
    drawn = []
    for number in (2, 13):
        study = opened(tmp_path)
        drawn += run(study, number)
        lost = study.ask("w")
        assert lost
        study.again(lost)
        study.again(lost)  # of a process that was killed before it had finished that
    study = opened(tmp_path)
    assert [*drawn, *run(study)] == whole
    assert study.left == 0
    assert len(study.trials) == SPACE["trials"]
    assert study.best
    assert study.best.value == max(map(score, whole))


def test_only_trials_of_dead_processes_are_dead(tmp_path: Path) -> None:
    study = opened(tmp_path)
    trial = study.ask("w")
    assert trial
    assert study.dead() == []
    process = trial.user_attrs["process"]
    host, pid, started = process.split("/")
    trial.set_user_attr("process", f"{host}/{pid}/{float(started) - 60}")
    assert [dead.number for dead in study.dead()] == [0]
    trial.set_user_attr("process", f"elsewhere/{pid}/0")
    assert study.dead() == []


def test_the_first_trial_is_what_it_begins_with_unless_there_is_one(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=2)
    present = {"a.rate": 0.5, "a.size": 2, "a.way": "far"}
    study.begin_with(present)
    study.begin_with(present)
    drawn = [*run(study)]
    assert drawn[0] == present
    assert drawn[1] != present
    assert study.ask("w") is None


def test_a_failure_counts_and_is_never_the_best(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=2)
    failed = study.ask("w")
    assert failed
    study.fail(failed, "too much")
    assert study.best is None
    assert len([*run(study)]) == 1
    assert study.best.number == 1
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "the study 's' was begun with other seed: "),
        ({"goal": SPACE["goal"] | {"key": "loss"}}, "other goal: "),
        ({"others": {"epochs": 4}}, r"other params\.yaml: "),
    ],
)
def test_trials_that_would_not_compare_are_not_mixed(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    failed = opened(tmp_path, {"epochs": 2}).ask("w")
    assert failed
    opened(tmp_path, {"epochs": 2}).fail(failed, "too much")
    first = opened(tmp_path, {"epochs": 3})  # nothing has come of it: it is begun anew
    assert first.trials == []
    assert len([*run(first, 1)]) == 1
    assert len(opened(tmp_path, {"epochs": 3}, trials=50).trials) == 1
    with pytest.raises(StageError, match=message):
        opened(tmp_path, **{"others": {"epochs": 3}} | change)


def test_a_storage_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    space = Space.model_validate(SPACE)
    with pytest.raises(StageError, match="--storage nonsense://x: Optuna cannot use it: "):
        Study(space, {}, "nonsense://x", tmp_path)
