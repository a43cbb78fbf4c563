"""The state of an unfinished training run, in one file that is replaced atomically.

Everything that the rest of the run depends on is in it: parameters, optimizer states, position, curve and
the best weights so far. Randomness needs no saving, for every draw is seeded by its position
(`stages.training.randomness`). The file belongs to exactly one piece of work, told by a fingerprint of its
inputs; state of other work is never resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stages import paths
from stages.artifacts import atomic_file
from stages.training import distributed
from stages.training.optimizer import Optimizers


@dataclass
class State:
    """What a run has reached.

    Attributes:
        step: steps done.
        tokens, flops: taken from the budget.
        seconds: spent on steps; a budget in seconds goes on from here.
        window_loss, window_count: summed loss and targets since the last evaluation.
        curve: one row per evaluation so far.
        best: the best weights so far, for runs that stop early; empty for others.
        best_row: index into ``curve`` of the evaluation that ``best`` was taken at.
    """

    step: int = 0
    tokens: int = 0
    flops: int = 0
    seconds: float = 0.0
    window_loss: float = 0.0
    window_count: float = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_row: int = -1


class Checkpoint:
    """Where one run keeps its state until it is done."""

    def __init__(self, folder: Path, name: str, inputs: Mapping[str, Any]) -> None:
        """``inputs``: what decides the run's result besides code and versions: parameters, hashes of its data."""
        text = json.dumps({**inputs, "code": _code(), "torch": torch.__version__}, sort_keys=True)
        self.path = folder / f"{name}.safetensors"
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def save(self, state: State, model: nn.Module, optimizers: Optimizers) -> None:
        """Replace what was saved before; a kill at any moment leaves the old or the new file.

        All processes that train a model have the same state, and the first one saves it.
        """
        if distributed.rank():
            return
        tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in state.best.items()}
        scalars: dict[str, float] = {}
        for key, value in _flatten(optimizers).items():
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                scalars[key] = value
        progress = {name: value for name, value in vars(state).items() if name != "best"}
        record = {"progress": progress, "scalars": scalars}
        metadata = {"fingerprint": self._fingerprint, "record": json.dumps(record)}
        with atomic_file(self.path) as temporary:
            save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, temporary, metadata)

    def load(self, model: nn.Module, optimizers: Optimizers) -> State:
        """Restore model and optimizers in place; a fresh `State` if there is nothing of this run."""
        content = self._read()
        if content is None:
            return State()
        record, tensors = content
        model.load_state_dict(_under("model.", tensors))
        _restore(optimizers, {**tensors, **record["scalars"]})
        return State(**record["progress"], best=_under("best.", tensors))

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("fingerprint") != self._fingerprint:
                    return None
                return json.loads(metadata["record"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError:  # damaged on disk: the run starts over, and its result is the same
            return None

    def discard(self) -> None:
        """Forget the run, once its result is written."""
        if not distributed.rank():
            self.path.unlink(missing_ok=True)


def _under(prefix: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _flatten(optimizers: Optimizers) -> dict[str, Any]:
    """``optimizer.<part>.<parameter>.<name>`` -> tensor or number."""
    return {
        f"optimizer.{part}.{parameter}.{name}": value
        for part, optimizer in enumerate(optimizers.parts)
        for parameter, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def _restore(optimizers: Optimizers, flat: Mapping[str, Any]) -> None:
    for part, optimizer in enumerate(optimizers.parts):
        state: dict[int, dict[str, Any]] = {}
        for key, value in flat.items():
            if key.startswith(f"optimizer.{part}."):
                parameter, name = key.split(".", 3)[2:]
                state.setdefault(int(parameter), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _code() -> str:
    """A hash of all the stages' code: half a run by one version must not be ended by another."""
    digest = hashlib.sha256()
    for file in sorted((paths.ROOT / "stages").rglob("*.py")):
        digest.update(file.relative_to(paths.ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
