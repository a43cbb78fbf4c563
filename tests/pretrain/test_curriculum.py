"""What an entry of ``objectives`` means, and the errors of one that means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from stages import params
from stages.errors import StageError
from stages.pretrain import curriculum
from tests.pretrain.corpus import vocabulary

ENTRIES = {
    "mlm": {"mlm_probability": 0.4},
    "mlm_15": {"objective": "mlm", "mlm_probability": 0.15},
    "clm_then_mlm": {
        "phases": [
            {"objective": "clm", "share": 0.25},
            {"objective": "mlm", "share": 0.75, "mlm_probability": 0.2, "whole_word": True},
        ]
    },
}


def settings(entries: dict[str, Any]) -> params.Params:
    """The project's parameters with these objectives."""
    checkpoint = params.FileCheckpoint(kind="file", path="mine")
    return params.load().model_copy(update={"objectives": entries, "checkpoints": {"mine": checkpoint}})


def phases(name: str, entries: dict[str, Any] = ENTRIES) -> list[curriculum.Phase]:
    return list(curriculum.read(settings(entries), name, vocabulary()).phases)


@pytest.mark.parametrize(
    ("name", "entry", "count"),
    [
        ("x", {"start": "mine"}, 0),
        ("x", {"start": "mine", "objective": "clm"}, 1),
        ("clm", {"start": "mine"}, 1),
        ("x", {"start": "mine", "phases": [{"objective": "clm"}]}, 1),
    ],
)
def test_a_checkpoint_goes_on_or_is_taken_as_it_is(name: str, entry: dict[str, Any], count: int) -> None:
    found = curriculum.read(settings({name: entry}), name, vocabulary())
    assert (found.start, len(found.phases)) == ("mine", count)


def test_an_entry_is_an_objective_a_variant_or_a_list_of_phases() -> None:
    assert [(type(p.objective).__name__, p.share) for p in phases("mlm")] == [("MaskedLM", 1.0)]
    assert phases("mlm_15")[0].objective.options.mlm_probability == 0.15
    first, second = phases("clm_then_mlm")
    assert (type(first.objective).__name__, first.share) == ("CausalLM", 0.25)
    assert (second.share, second.objective.options.mlm_probability) == (0.75, 0.2)
    assert second.objective.options.whole_word


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"mlm_rate": 0.1}, r"objectives\.x\.objective: 'x' is unknown; there are: .*mlm"),
        ({"objective": "bert"}, r"objectives\.x\.objective: 'bert' is unknown"),
        ({"objective": "mlm", "mlm_probability": 1.5}, r"objectives\.x: mlm_probability: .*less than 1"),
        ({"objective": "mlm", "mlm_probability": 0.1, "rate": 1}, r"objectives\.x: rate: unknown key"),
        ({"phases": []}, r"objectives\.x: phases: .*at least 1"),
        ({"phases": [{"share": 1}]}, r"objectives\.x\.phases\.0: objective: Field required"),
        ({"phases": [{"objective": "clm", "share": 0.5}]}, r"objectives\.x\.phases: their shares add up to 0.5, not 1"),
        ({"phases": [{"objective": "clm", "share": 0}]}, r"objectives\.x\.phases\.0: share: .*greater than 0"),
        ({"phases": [{"objective": "clm"}], "mlm_probability": 1}, r"objectives\.x: mlm_probability: unknown key"),
        ({"phases": [{"objective": "clm"}], "objective": "mlm"}, "x: objective: unknown key beside phases"),
        ({"start": "yours"}, r"objectives\.x\.start: 'yours' is unknown; checkpoints has: mine"),
    ],
)
def test_errors_name_the_key(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=message):
        phases("x", {"x": entry})


def test_an_unknown_entry_is_named() -> None:
    with pytest.raises(StageError, match="objectives has no 'rtd'; it has: mlm, mlm_15, clm_then_mlm"):
        phases("rtd")
