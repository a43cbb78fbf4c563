"""What a compressor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stages import params
from stages.model.answerer import Answerer


class Compressor(ABC):
    """One way to make a classifier smaller; ``Options`` are the keys under ``compressors.<name>``.

    What is saved is `tensors`, and `restore` turns a classifier of the same shape with those tensors into the
    small model that runs; so there is one path to it, whether it was just made or read from disk.
    """

    class Options(params.Section):
        """No options."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def tensors(self, model: Answerer) -> dict[str, Tensor]:
        """All tensors of the compressed model, by the original parameters' names and what belongs to them."""

    @abstractmethod
    def restore(self, model: Answerer, tensors: Mapping[str, Tensor]) -> Answerer:
        """Give ``model`` (any weights, the right shape) the compressed weights; changes it in place."""
