"""int8 as `int8_dynamic` has it, after training in which the model has felt the rounding.

Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, §3:
what is rounded afterwards is rounded while it trains, weights and inputs, in fp32; gradients pass by the rounding
(Bengio et al. 2013, the straight-through estimator).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stages import params
from stages.compress.base import Material, Shape
from stages.compress.methods.int8_dynamic import STEPS, Int8Dynamic, quantize, quantized
from stages.compress.pruning import classifier
from stages.compress.recovery import Recovery, recover
from stages.model.answerer import Answerer


class Rounded(nn.Module):
    """A matrix as its integers say it; its gradient is that of the matrix."""

    def forward(self, weight: Tensor) -> Tensor:
        values, scale = quantize(weight.detach())
        return straight_through(weight, values * scale[:, None])


def straight_through(exact: Tensor, rounded: Tensor) -> Tensor:
    """What was rounded, with the gradient of what was not."""
    return exact + (rounded - exact).detach()


def rounded_input(input: Tensor) -> Tensor:
    """As the kernel rounds it on the fly: from the least to the greatest, 0 among them, in 127 steps."""
    low, high = (float(bound) for bound in torch.aminmax(input.detach()))
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / STEPS, torch.finfo(torch.float32).tiny)
    zero = min(max(round(-low / step), 0), STEPS)
    exact = input.float()
    return straight_through(exact, torch.fake_quantize_per_tensor_affine(exact.detach(), step, zero, 0, STEPS))


class Int8Qat(Int8Dynamic):
    """All linear maps but the head, and tables of embeddings."""

    class Options(params.Section):
        """``recovery``: the training."""

        recovery: Recovery = Recovery()

    @property
    def trains(self) -> bool:
        return True

    def compress(self, model: Answerer, material: Material) -> Shape:
        tuned = classifier(self, model)
        with _feeling_the_rounding(tuned):
            recover(tuned, material, self.options.recovery, {})
        return super().compress(tuned, material)


@contextmanager
def _feeling_the_rounding(model: nn.Module) -> Iterator[None]:
    """Round in training what will be rounded."""
    places = quantized(model)
    handles = []
    for place in places:
        parametrize.register_parametrization(place, "weight", Rounded())
        if isinstance(place, nn.Linear):
            handles.append(place.register_forward_pre_hook(lambda _, given: (rounded_input(given[0]), *given[1:])))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for place in places:
            parametrize.remove_parametrizations(place, "weight", leave_parametrized=False)
