"""Sizes that have a name: what `model.preset` in `params.yaml` may say.

The feed-forward is gated, so its inner width is two thirds of the usual 4 × hidden_size for the same number of
parameters. Parameters without embeddings: nano 0.23 M, tiny 0.85 M, mini 3.1 M, small 12.5 M, base 85 M (with a
vocabulary of 30,522 BERT-base's 109 M; Devlin et al. 2019, §3; mini and small after Turc et al. 2019, §5).
"""

from __future__ import annotations

SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")

PRESETS: dict[str, tuple[int, int, int, int]] = {
    "nano": (128, 2, 2, 128),
    "tiny": (128, 4, 2, 384),
    "mini": (256, 4, 4, 672),
    "small": (512, 4, 8, 1344),
    "base": (768, 12, 12, 2048),
}
"""Of each name its `SIZES`."""


def sizes(preset: str) -> dict[str, int]:
    """The sizes of a preset by their names."""
    return dict(zip(SIZES, PRESETS[preset], strict=True))
