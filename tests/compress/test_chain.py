"""What an entry of `compressors` means, and errors that name the key."""

from __future__ import annotations

from typing import Any

import pytest

from stages import params
from stages.compress import chain
from stages.errors import StageError
from stages.params import Params
from tests.test_params import changed, parse

HALF = {"compressor": "prune_neurons", "sparsity": 0.5}


def settings(entry: Any, name: str = "small") -> Params:
    return params.load().model_copy(update={"compressors": {name: entry}})


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("int8_dynamic", {}, ["int8_dynamic"]),
        ("prune_neurons", {"sparsity": 0.5}, ["prune_neurons"]),
        ("small", HALF, ["prune_neurons"]),
        ("small", ["vocabulary"], ["vocabulary"]),
        (
            "small",
            [HALF, "vocabulary", {"compressor": "int8_dynamic"}],
            ["prune_neurons", "vocabulary", "int8_dynamic"],
        ),
    ],
)
def test_an_entry_is_a_compressor_a_variant_or_a_chain(name: str, entry: Any, expected: list[str]) -> None:
    found = chain.read(settings(entry, name), name)
    assert [step.name for step in found] == expected
    if expected[0] == "prune_neurons":
        assert found[0].compressor.options.sparsity == 0.5


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, r"params\.yaml: compressors\.small: 'small' is unknown; there are: distill"),
        (["shrink"], r"params\.yaml: compressors\.small\.0: 'shrink' is unknown"),
        (["vocabulary", {"sparsity": 0.5}], r"params\.yaml: compressors\.small\.1: a step needs the key `compressor`"),
        ([{**HALF, "sparsity": 1.2}], r"params\.yaml: compressors\.small\.0: sparsity: .*less than 1"),
        ([{**HALF, "speed": 2}], r"params\.yaml: compressors\.small\.0: speed: unknown key"),
        ({**HALF, "recovery": {"epochs": 0}}, r"params\.yaml: compressors\.small: recovery\.epochs: "),
        (["int8_dynamic", HALF], r"params\.yaml: compressors\.small\.1: .*after int8_dynamic.*: put int8_dynamic last"),
        (
            [
                {"compressor": "prune_magnitude", "sparsity": 0.5},
                {"compressor": "prune_heads", "sparsity": 0.5, "recovery": {}},
            ],
            r"params\.yaml: compressors\.small\.1: .*fill the zeros of prune_magnitude",
        ),
    ],
)
def test_errors_name_the_key(entry: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        chain.read(settings(entry), "small")


def test_an_entry_that_is_not_there_is_named() -> None:
    with pytest.raises(StageError, match=r"params\.yaml: compressors has no 'tiny'; it has: small"):
        chain.read(settings(HALF), "tiny")


def test_the_schema_takes_both_forms_and_no_empty_chain() -> None:
    assert parse(changed("compressors.small", [HALF, "int8_dynamic"])).compressors["small"] == [HALF, "int8_dynamic"]
    with pytest.raises(StageError, match=r"compressors\.small"):
        parse(changed("compressors.small", []))
