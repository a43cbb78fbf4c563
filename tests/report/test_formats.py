from __future__ import annotations

import pytest

from stages.report import formats


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (formats.points(0.042), "+4.2"),
        (formats.points(-0.042), "−4.2"),
        (formats.points(-0.0001), "0.0"),
        (formats.interval(-0.01, 0.02), "−1.0 to +2.0"),
        (formats.spread([0.5, 0.6], 1, scale=100), "55.0 ± 7.1"),
        (formats.spread([0.5], 1, scale=100), "50.0"),
        (formats.p_value(0.0004), "<0.001"),
        (formats.p_value(0.0123), "0.012"),
        (formats.p_value(None), "–"),
        (formats.count([4_000_000]), "4,000,000"),
        (formats.count([258, 516]), "258–516"),
        (formats.mebibytes(3 << 20), "3.00 MiB"),
        (formats.listed(["a"]), "a"),
        (formats.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_so(found: str, expected: str) -> None:
    assert found == expected
