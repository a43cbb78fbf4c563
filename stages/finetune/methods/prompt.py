"""Virtual tokens alone are trained (Lester et al. 2021, The Power of Scale, §2), from rows of words (§2.1)."""

from __future__ import annotations

from torch import nn

from stages.finetune.methods.virtual import Virtual


class Prompt(Virtual):
    """A row for each virtual token."""

    def encoder(self, table: nn.Embedding) -> nn.Module:
        from peft import PromptEmbedding, PromptTuningConfig

        config = PromptTuningConfig(
            num_virtual_tokens=self.virtual_tokens,
            token_dim=table.embedding_dim,
            num_transformer_submodules=1,
            prompt_tuning_init="SAMPLE_VOCAB",
        )
        return PromptEmbedding(config, table)
