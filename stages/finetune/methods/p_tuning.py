"""Virtual tokens that a small network makes (Liu et al. 2021, GPT Understands, Too, §3.2); PEFT's, without LSTM."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from stages.finetune.methods.virtual import Virtual


class PTuning(Virtual):
    """Three layers turn the embedding of each virtual token into its row."""

    class Options(Virtual.Options):
        """``encoder_hidden_size``: units of the layers between."""

        encoder_hidden_size: Annotated[int, Field(ge=1)]

    def encoder(self, table: nn.Embedding) -> nn.Module:
        from peft import PromptEncoder, PromptEncoderConfig

        config = PromptEncoderConfig(
            num_virtual_tokens=self.virtual_tokens,
            token_dim=table.embedding_dim,
            num_transformer_submodules=1,
            encoder_hidden_size=self.options.encoder_hidden_size,
        )
        return PromptEncoder(config)
