"""Where a stage computes: what accelerate finds, which is a GPU if there is one it may see."""

from __future__ import annotations

import torch

from stages.training import distributed


def find() -> torch.device:
    """The device of this process, which from here on knows of those that it trains a model with, if there are any.

    ``CUDA_VISIBLE_DEVICES`` and ``ACCELERATE_USE_CPU`` narrow the choice.
    Models are moved to it; what they are given may lie anywhere, and what they draw is drawn on the CPU, so that the
    same seed draws the same on every device.
    """
    from accelerate import PartialState

    return torch.device(PartialState(timeout=distributed.PATIENCE).device)
