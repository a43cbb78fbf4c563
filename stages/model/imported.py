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
from stages.model import files, first_token, imported_attention
from stages.model.dropout import Dropout
from stages.tokenizer import files as tokenizer_files

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

TOKENIZER = "tokenizer.json"

OPTIONS = {"trust_remote_code": False, "dtype": torch.float32}
"""Parameters are fp32, whatever they were saved in."""


class Imported(nn.Module):
    """A stock model, of an encoder–decoder the encoder, or both if the states are to be the decoder's.

    Attributes:
        depths: all whose states can be pooled: embeddings, and every layer.
        hidden_size: width of each of them.
        decodes: whether they are a decoder's that reads an encoder's.
    """

    def __init__(self, model: PreTrainedModel, *, separator: int | None = None, decodes: bool = False) -> None:
        """``separator``: the token that ends the first text of a pair; None where the second is not told apart."""
        super().__init__()
        self.decodes = decodes and model.config.is_encoder_decoder
        self.model = model.get_encoder() if model.config.is_encoder_decoder and not self.decodes else model
        self._separator = separator if getattr(model.config, "type_vocab_size", 0) > 1 else None
        self._apart = (_pooler(self.model),)
        imported_attention.install(self.model)
        with torch.no_grad():
            states = self.eval()(torch.zeros(1, 2, dtype=torch.long))
        self.depths, self.hidden_size = range(len(states)), int(states[0].shape[-1])
        self._behind_attention = self._where_tokens_part(states[-1])

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

    @property
    def pooler(self) -> nn.Module | None:
        """What a checkpoint was trained to read its first state through; apart, for hidden states pass it by."""
        return self._apart[0]

    def drop_pooler(self) -> None:
        """Be as a checkpoint that has none."""
        self._apart = (None,)

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
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """Hidden states of every depth, up to ``depth``: as `stages.model.transformer.Transformer.forward`.

        Positions count from the left edge, so that is where texts must begin.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        given = {name: tensor.to(self.device) for name, tensor in self._inputs(input_ids, mask).items()}
        of_first = self._of_first() if first and depth in (None, self.depths[-1]) else nullcontext()
        with _computing_in(dtype, self.device), _dropping(self.model, dropout or Dropout()), of_first:
            read = self.model(**given, output_hidden_states=True, return_dict=True)
        states: tuple[Tensor, ...] = read.decoder_hidden_states if self.decodes else read.hidden_states
        return states if depth is None else states[: depth + 1]

    def _of_first(self) -> AbstractContextManager[None]:
        """The last layer computes first tokens only, where it can."""
        name = self._behind_attention
        return nullcontext() if name is None else first_token.alone(self.model.get_submodule(name))

    def _where_tokens_part(self, expected: Tensor) -> str | None:
        """The module from which on no token reads another; None if the last states come out other than ``expected``."""
        name = None if self.decodes else first_token.behind_attention(self.model)
        if name is None:
            return None
        try:
            with torch.no_grad(), first_token.alone(self.model.get_submodule(name)):
                found = self(torch.zeros(1, 2, dtype=torch.long))[-1]
        except Exception:  # whatever an architecture raises that does more with the states than hand them on
            return None
        return name if found.shape[1] == 1 and torch.allclose(found, expected[:, :1], atol=1e-4) else None

    def _inputs(self, input_ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What transformers is given; the decoder reads the text from its own start token on, as it was trained to."""
        given = {"input_ids": input_ids, "attention_mask": mask}
        if self._separator is not None:
            ends = input_ids == self._separator
            given["token_type_ids"] = (ends.cumsum(1) - ends.long() > 0).long() * mask
        if self.decodes:
            start = torch.full_like(input_ids[:, :1], _start(self.model.config))
            given["decoder_input_ids"] = torch.cat([start, input_ids[:, :-1]], dim=1)
            given["decoder_attention_mask"] = mask
        return given


def _pooler(model: PreTrainedModel) -> nn.Module | None:
    """Taken from the model; ALBERT and BigBird have its two parts side by side."""
    pooler: nn.Module | None = getattr(model, "pooler", None)
    if pooler is not None:
        model.register_module("pooler", None)
    return nn.Sequential(pooler, nn.Tanh()) if isinstance(pooler, nn.Linear) else pooler


def _start(config: PretrainedConfig) -> int:
    """The token that a decoder begins with; T5 begins with padding, and may not say so."""
    declared = getattr(config, "decoder_start_token_id", None)
    return int(config.pad_token_id if declared is None else declared)


def _computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in ``dtype``, their factors rounded as they are read."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@contextmanager
def _dropping(model: nn.Module, dropout: Dropout) -> Iterator[None]:
    """Leave out at random wherever the model has a module for that, at our rate and by our draws."""
    places = [module for module in model.modules() if isinstance(module, nn.Dropout)] if dropout.probability else []
    handles = [place.register_forward_hook(lambda _, __, output: dropout(output)) for place in places]
    try:
        with imported_attention.dropping(dropout):
            yield
    finally:
        for handle in handles:
            handle.remove()


def load(folder: Path, *, decodes: bool = False) -> Imported:
    """Open a checkpoint; ``decodes`` as `Imported` has it. A pooler that was never trained is left out.

    Raises:
        StageError: transformers has no such architecture, it reads no tokens, or its weights are not whole.
    """
    transformers, separator = _transformers(), _separator(folder)
    with _opening(folder, transformers):
        model, report = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **OPTIONS
        )
        drawn = {name: id(model.get_parameter_or_buffer(name)) for name in sorted(report["missing_keys"])}
        _leave_file(model)
        imported = Imported(model, separator=separator, decodes=decodes)
    if imported.pooler is not None and any(id(part) in drawn.values() for part in imported.pooler.parameters()):
        imported.drop_pooler()
    used = {id(parameter) for parameter in imported.parameters()}
    if lacking := [name for name in drawn if drawn[name] in used]:
        raise StageError(
            f"{folder / files.WEIGHTS} lacks {', '.join(lacking[:3])}, which {type(model).__name__} needs: take a "
            "checkpoint that was saved whole, with `save_pretrained`"
        )
    return imported


def _leave_file(model: PreTrainedModel) -> None:
    """Hold weights in memory, where they lie in the file's pages.

    The first step of a training would copy these one fault at a time, and nobody could replace the file meanwhile.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def empty(folder: Path, *, decodes: bool = False) -> Imported:
    """A model of a checkpoint's architecture and sizes, whose weights are still to be loaded.

    Raises:
        StageError: transformers has no such architecture, or it reads no tokens.
    """
    transformers, separator = _transformers(), _separator(folder)
    with _opening(folder, transformers):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = transformers.AutoModel.from_config(config, **OPTIONS)
        return Imported(model, separator=separator, decodes=decodes)


def _separator(folder: Path) -> int | None:
    """The token behind which the folder's tokenizer begins a second segment; None where it begins none, or is none."""
    if not (folder / TOKENIZER).is_file():
        return None
    tokenizer = tokenizer_files.load(folder)
    tokenizer.no_padding()
    pair = tokenizer.encode("", "")
    return pair.ids[pair.type_ids.index(1) - 1] if 1 in pair.type_ids[1:] else None


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
