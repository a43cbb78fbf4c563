"""Which floating-point type to compute in, and on how many threads: both decide bits."""

from __future__ import annotations

import torch

from stages.params import Engine

FAST_BF16 = ("amx_bf16", "bf16")
"""What a processor calls instructions for bf16 products that are faster than those for fp32: x86 tiles, Arm's."""

VECTORS = "avx512_bf16"
"""x86 vectors. Measured on an Intel processor that shows no tiles, they take twice as long as those of fp32."""


def compute_dtype(engine: Engine) -> torch.dtype:
    """bf16 or fp32; ``auto`` asks the processor for its instructions, never a clock."""
    if engine.precision == "auto":
        return torch.bfloat16 if _is_bf16_fast() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[engine.precision]


def _is_bf16_fast() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    processor = torch.cpu.get_capabilities()
    has_fast_vectors = processor.get(VECTORS) and not str(processor.get("cpu_name", "")).startswith("Intel")
    return bool(has_fast_vectors) or any(processor.get(name) for name in FAST_BF16)


def set_up(engine: Engine) -> torch.dtype:
    """Fix the number of threads and demand deterministic kernels; returns the type to compute in."""
    torch.set_num_threads(engine.threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, without importing the compiler
    # no kernel here reads what it has not written: filling fresh memory first only costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return compute_dtype(engine)
