"""Where a stage computes: what accelerate finds, which is a GPU if there is one it may see."""

from __future__ import annotations

import torch


def find() -> torch.device:
    """The device of this process; ``CUDA_VISIBLE_DEVICES`` and ``ACCELERATE_USE_CPU`` narrow the choice.

    Models are moved to it; what they are given may lie anywhere, and what they draw is drawn on the CPU, so that the
    same seed draws the same on every device.
    """
    from accelerate import PartialState

    return torch.device(PartialState().device)
