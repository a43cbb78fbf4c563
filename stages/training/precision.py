"""Which floating-point type to compute in, and on how many threads: both decide bits."""

from __future__ import annotations

import torch

from stages.params import Engine

BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")  # x86 tiles, x86 vectors, Arm


def compute_dtype(engine: Engine) -> torch.dtype:
    """bf16 or fp32; ``auto`` asks the processor for its instructions, never a clock."""
    if engine.precision == "auto":
        return torch.bfloat16 if _has_bf16() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[engine.precision]


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in BF16_INSTRUCTIONS)


def set_up(engine: Engine) -> torch.dtype:
    """Fix the number of threads and demand deterministic kernels; returns the type to compute in."""
    torch.set_num_threads(engine.threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, without importing the compiler
    # no kernel here reads what it has not written: filling fresh memory first only costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return compute_dtype(engine)
