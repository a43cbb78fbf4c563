"""The type to compute in is a matter of the processor, not of time."""

from __future__ import annotations

import pytest
import torch

from stages.params import Engine
from stages.training import precision


@pytest.mark.parametrize(
    ("asked", "capabilities", "expected"),
    [
        ("auto", {"amx_bf16": True}, torch.bfloat16),
        ("auto", {"avx512_bf16": True, "cpu_name": "AMD EPYC 9R14"}, torch.bfloat16),
        ("auto", {"avx512_bf16": True, "cpu_name": "Intel Xeon"}, torch.float32),
        ("auto", {"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, torch.bfloat16),
        ("auto", {"bf16": True}, torch.bfloat16),
        ("auto", {"avx512_f": True}, torch.float32),
        ("bf16", {}, torch.bfloat16),
        ("fp32", {"amx_bf16": True}, torch.float32),
    ],
)
def test_precision(
    asked: str, capabilities: dict[str, object], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``auto`` reads the capabilities; a named type is taken at its word."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert precision.compute_dtype(Engine(precision=asked, threads=1)) == expected  # type: ignore[arg-type]
