"""Modules of a model, and putting others in their place."""

from __future__ import annotations

from torch import nn


def replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in another's place, wherever that stands."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module is old:
            model.set_submodule(name, new)
