"""Checkpoints of transformers' own architectures, as a classifier reads them.

Any folder that `AutoModel` loads will do, if its weights are safetensors; code that comes with one is never run. What
differs from one architecture to the next (how many states it gives, and of which width) is asked of the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from stages.artifacts import read_json
from stages.errors import StageError
from stages.model import files
from stages.model.dropout import Dropout

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPTIONS = {"trust_remote_code": False, "dtype": torch.float32}
"""Parameters are fp32, whatever they were saved in."""


class Imported(nn.Module):
    """A stock model, of an encoder–decoder the encoder; without a pooler, which hidden states do not pass through.

    Attributes:
        depths: all whose states can be pooled: embeddings, and every layer.
        hidden_size: width of each of them.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None
        with torch.no_grad():
            states = self.eval()(torch.zeros(1, 2, dtype=torch.long))
        self.depths, self.hidden_size = range(len(states)), int(states[0].shape[-1])

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where it computes."""
        return next(self.parameters()).device

    @property
    def positions(self) -> int | None:
        """How many tokens a text may have; None where that has no end.

        RoBERTa and its kin count positions from behind that of padding, so that some rows of their table are no text's.
        """
        declared = getattr(self.model.config, "max_position_embeddings", None)
        if declared is None or declared < 1:
            return None
        tables = (module for name, module in self.named_modules() if name.endswith("position_embeddings"))
        padding = (getattr(table, "padding_idx", None) for table in tables)
        return int(declared) - sum(index + 1 for index in padding if index is not None)

    def train(self, mode: bool = True) -> Self:
        """Stay as in evaluation: the draws of its own dropout no resumed run could repeat."""
        return super().train(False)

    def shrink_embeddings(self) -> None:
        """Nothing: what is added to a token's embedding, its position above all, gives a size to it."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        depth: int | None = None,
        *,
        dropout: Dropout | None = None,
    ) -> tuple[Tensor, ...]:
        """Hidden states of every depth, up to ``depth``: as `stages.model.transformer.Transformer.forward`."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        with _computing_in(dtype, self.device), _dropping(self.model, dropout or Dropout()):
            read = self.model(
                input_ids=input_ids.to(self.device),
                attention_mask=mask.to(self.device),
                output_hidden_states=True,
                return_dict=True,
            )
        states: tuple[Tensor, ...] = read.hidden_states
        return states if depth is None else states[: depth + 1]


def _computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in ``dtype``, their factors rounded as they are read."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@contextmanager
def _dropping(model: nn.Module, dropout: Dropout) -> Iterator[None]:
    """Leave out at random wherever the model has a module for that, at our rate and by our draws."""
    places = [module for module in model.modules() if isinstance(module, nn.Dropout)] if dropout.probability else []
    handles = [place.register_forward_hook(lambda _, __, output: dropout(output)) for place in places]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load(folder: Path) -> Imported:
    """Open a checkpoint.

    Raises:
        StageError: transformers has no such architecture, it reads no tokens, or its weights are not whole.
    """
    transformers = _transformers()
    with _opening(folder, transformers):
        model, report = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **OPTIONS
        )
        drawn = {name: id(model.get_parameter_or_buffer(name)) for name in sorted(report["missing_keys"])}
        imported = Imported(model)
    used = {id(parameter) for parameter in imported.parameters()}
    if lacking := [name for name in drawn if drawn[name] in used]:
        raise StageError(
            f"{folder / files.WEIGHTS} lacks {', '.join(lacking[:3])}, which {type(model).__name__} needs: take a "
            "checkpoint that was saved whole, with `save_pretrained`"
        )
    return imported


def empty(folder: Path) -> Imported:
    """A model of a checkpoint's architecture and sizes, whose weights are still to be loaded.

    Raises:
        StageError: transformers has no such architecture, or it reads no tokens.
    """
    transformers = _transformers()
    with _opening(folder, transformers):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return Imported(transformers.AutoModel.from_config(config, **OPTIONS))


def _transformers() -> ModuleType:
    """The library, imported only where a checkpoint is opened, for that takes seconds; it says nothing of its own."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@contextmanager
def _opening(folder: Path, transformers: ModuleType) -> Iterator[None]:
    """Turn what transformers raises into an error that names the file and says what to do.

    What it draws, for weights that are then read or not used, leaves the global generator as it was.
    """
    kind = read_json(folder / files.CONFIG).get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        raise StageError(
            f"{folder / files.CONFIG}: model_type {kind!r} is unknown to transformers {transformers.__version__}: "
            "take a checkpoint of an architecture that it has; code that comes with a checkpoint is never run"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except Exception as error:  # the library raises nothing more specific
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise StageError(
            f"{folder} cannot be read as text model {kind!r} ({type(error).__name__}: {reason}): take a checkpoint "
            "that `AutoModel.from_pretrained` opens and that gives hidden states of token ids"
        ) from None
