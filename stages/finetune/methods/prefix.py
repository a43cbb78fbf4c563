"""Keys and values of every layer that all tokens see are trained (Li & Liang 2021, Prefix-Tuning, §4.2).

They are trained as they are and not made by a network (§4.3), as in Liu et al. 2022, P-Tuning v2, §3.3. Like that of
PEFT, our prefix has no positions. In other architectures it goes before what their attention is given, through the one
place where transformers lets it be replaced.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stages.errors import StageError
from stages.finetune.methods.gradient import Gradient, only
from stages.model.imported import Imported
from stages.model.parts import Maps, maps
from stages.model.transformer import Attention, Transformer, attend
from stages.model.tunable import Tunable
from stages.training import randomness

KIND = "prefixed"
"""What transformers knows our attention by."""


class Prefix(Gradient):
    """Trains the prefixes, and the head."""

    class Options(Gradient.Options):
        """``prefix_length``: keys and values in each layer."""

        prefix_length: Annotated[int, Field(ge=1)]

    def attach(self, model: Tunable, seed: int) -> None:
        with randomness.drawing(seed, "finetune-attach"):
            if isinstance(model.transformer, Transformer):
                self._replace(model.transformer)
            else:
                assert isinstance(model.transformer, Imported)
                self._give(model.transformer)

    def _replace(self, transformer: Transformer) -> None:
        width = transformer.hidden_size
        for name in (f"layers.{index}.attn" for index in range(len(transformer.layers))):
            attention = transformer.get_submodule(name)
            assert isinstance(attention, Attention)
            prefix = KeysValues(self.options.prefix_length, width).to(transformer.device)
            transformer.set_submodule(name, PrefixedAttention(attention, prefix))

    def _give(self, backbone: Imported) -> None:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import eager_mask

        AttentionInterface.register(KIND, _attend)
        AttentionMaskInterface.register(KIND, eager_mask)
        backbone.model.set_attn_implementation(KIND)
        if backbone.model.config._attn_implementation != KIND:
            raise StageError(
                f"params.yaml: finetune.methods: prefix cannot be: the attention of {type(backbone.model).__name__} "
                "cannot be replaced in transformers; take prompt, p_tuning or another method for this checkpoint"
            )
        for layer in maps(backbone):
            width = _width(backbone, layer)
            prefix = KeysValues(self.options.prefix_length, width).to(backbone.device)
            backbone.get_submodule(layer.key_value[0].rpartition(".")[0]).add_module("prefix", prefix)

    def prepare(self, model: Tunable) -> None:
        only(model, [name for name, _ in model.named_parameters() if ".prefix." in name])

    def merge(self, model: Tunable) -> bool:
        return False


class KeysValues(nn.Module):
    """What is put before the keys and values of one layer."""

    def __init__(self, count: int, width: int) -> None:
        from peft import PrefixEncoder, PrefixTuningConfig

        super().__init__()
        self.count = count
        self.encoder = PrefixEncoder(PrefixTuningConfig(num_virtual_tokens=count, token_dim=width, num_layers=1))

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, heads, length, head_dim) -> (batch, heads, count + length, head_dim), both."""
        rows = self.encoder(torch.arange(self.count, device=key.device)).to(key.dtype)
        ours = rows.view(self.count, 2, key.shape[1], key.shape[-1]).permute(1, 2, 0, 3)[:, None]
        before = ours.expand(-1, key.shape[0], -1, -1, -1)
        return torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)

    def unmask(self, mask: Tensor | None) -> Tensor | None:
        """An additive mask (…, keys) that shows the prefix to all."""
        return None if mask is None else F.pad(mask, (self.count, 0))


class PrefixedAttention(nn.Module):
    """That of our block, with a prefix."""

    def __init__(self, attention: Attention, prefix: KeysValues) -> None:
        super().__init__()
        self.base, self.prefix = attention, prefix

    def forward(self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        query, key, value = self.base.read(x, position)
        key, value = self.prefix(key, value)
        return self.base.write(attend(query, key, value, self.prefix.unmask(mask)))


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """That of transformers, with a prefix; what is causal is so by its mask."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    prefix = getattr(module, "prefix", None)
    if prefix is None:  # a decoder's attention to the encoder
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    assert isinstance(prefix, KeysValues)
    key, value = prefix(key, value)
    mask = None if attention_mask is None else prefix.unmask(attention_mask.to(query.dtype))
    options |= {"is_causal": False, "position_bias": prefix.unmask(options.get("position_bias"))}
    return sdpa_attention_forward(module, query, key, value, mask, **options)


def _width(backbone: Imported, layer: Maps) -> int:
    """Of the keys of a layer, all heads together; where one map makes them with all else, as wide as the states."""
    module = backbone.get_submodule(layer.key_value[0])
    return module.out_features if isinstance(module, nn.Linear) and len(layer.key_value) > 1 else backbone.hidden_size
