"""Models on disk, in the layout of the stock transformers classes that hold them.

An encoder is a ModernBERT and a causal model a ModernBERT decoder with full attention in every layer, so
`AutoModel.from_pretrained` opens what is written here without any code of ours. No stock class has a decoder that reads
another stack by this block, so of an encoder–decoder it opens the encoder; the rest lies in a file beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stages.artifacts import atomic_folder, read_json, write_json
from stages.errors import StageError
from stages.model.config import MAX_POSITIONS, NORM_EPS, ROPE_THETA, ScoringMode, TransformerConfig
from stages.model.transformer import EncoderDecoder, LanguageModel

SUFFIX = ".safetensors"
CONFIG, WEIGHTS, DECODER = "config.json", f"model{SUFFIX}", f"decoder{SUFFIX}"
SCORING = "scoring"
SPECIAL_TOKENS = {"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
MODEL_TYPES, HEAD = {False: "modernbert", True: "modernbert-decoder"}, {False: "head", True: "lm_head"}
"""What transformers calls an encoder and a decoder, and the prediction head of each."""


def save(
    folder: Path, model: LanguageModel, tokenizer: Path | None = None, scoring: Sequence[ScoringMode] = ()
) -> None:
    """Write ``config.json``, ``model.safetensors`` and a copy of the tokenizer's files.

    What an objective added to the model for its own use is left out. ``scoring`` says how its head finds texts likely.
    """
    config, state = model.config, model.state_dict()
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG, {**transformers_config(config), SCORING: list(scoring)})
        parts = ("model.",) if config.num_decoder_layers else ("model.", "head.")
        save_weights(temporary / WEIGHTS, to_transformers(_select(state, parts), config.causal))
        if config.num_decoder_layers:
            save_weights(temporary / DECODER, _select(state, ("decoder.", "head.")))
        copy_tokenizer(tokenizer, temporary)


def _select(state: Mapping[str, Tensor], parts: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith(parts)}


def copy_tokenizer(tokenizer: Path | None, folder: Path) -> None:
    """Put a tokenizer's files beside a model's, so that the folder stands alone."""
    for file in sorted(tokenizer.iterdir()) if tokenizer else ():
        shutil.copyfile(file, folder / file.name)


def load(folder: Path) -> LanguageModel:
    """Read a model that `save` wrote; an `EncoderDecoder` if it is one.

    Raises:
        StageError: a file is missing or damaged.
    """
    config = load_config(folder)
    weights = from_transformers(load_weights(folder / WEIGHTS), config.causal)
    if config.num_decoder_layers:
        weights |= load_weights(folder / DECODER)
    model = EncoderDecoder(config) if config.num_decoder_layers else LanguageModel(config)
    model.load_state_dict(weights)
    return model


def save_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors with sorted names, so that equal weights are equal bytes; tied ones each, as the format wants."""
    ordered = {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}
    save_file(ordered, path, {"format": "pt"})


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors.

    Raises:
        StageError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{path} cannot be read ({error}): run `dvc repro` to make it again") from None


def transformers_config(config: TransformerConfig) -> dict[str, Any]:
    """The ``config.json`` of the stock architecture."""
    kind = "ModernBertDecoder" if config.causal else "ModernBert"
    purpose = "ForCausalLM" if config.causal else "Model" if config.num_decoder_layers else "ForMaskedLM"
    return {
        "architectures": [kind + purpose],
        "model_type": MODEL_TYPES[config.causal],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": MAX_POSITIONS,
        "norm_eps": NORM_EPS,
        "decoder_bias": False,
        "tie_word_embeddings": True,
        "layer_types": ["full_attention"] * config.num_hidden_layers,
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": ROPE_THETA} for kind in ("full_attention", "sliding_attention")
        },
        "num_decoder_layers": config.num_decoder_layers,
        **SPECIAL_TOKENS,
    }


def is_own(folder: Path) -> bool:
    """Whether a model is of this project's block; of stock architectures, T5 alone has a key of the same name."""
    content = read_json(folder / CONFIG)
    return content.get("model_type") in MODEL_TYPES.values() and "num_decoder_layers" in content


def scoring(folder: Path) -> tuple[ScoringMode, ...]:
    """How the head of a model finds texts likely; no way where it was not trained to, or trained elsewhere."""
    return tuple(read_json(folder / CONFIG).get(SCORING, ()))


def load_config(folder: Path) -> TransformerConfig:
    """The configuration of a saved model."""
    content = read_json(folder / CONFIG)
    names = (field.name for field in fields(TransformerConfig) if field.name != "causal")
    try:
        return TransformerConfig(
            **{name: content[name] for name in names}, causal=content["model_type"] == MODEL_TYPES[True]
        )
    except KeyError as error:
        raise StageError(f"{folder / CONFIG}: key {error} is missing: this is no model of this project") from None


def to_transformers(state: Mapping[str, Tensor], causal: bool) -> dict[str, Tensor]:
    """Our parameter names to those of transformers; the decoder keeps Q, K and V apart."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.startswith("head."):
            name = HEAD[causal] + name.removeprefix("head")
        if causal and name.endswith("attn.Wqkv.weight"):
            for part, projection in zip("qkv", tensor.chunk(3), strict=True):
                renamed[name.replace("Wqkv", f"{part}_proj")] = projection.clone()
        else:
            renamed[name] = tensor
    return renamed


def from_transformers(tensors: Mapping[str, Tensor], causal: bool) -> dict[str, Tensor]:
    """The inverse of `to_transformers`."""
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(HEAD[causal] + "."):
            name = "head" + name.removeprefix(HEAD[causal])
        if "attn.q_proj" in name:
            parts = [tensors[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            state[name.replace("q_proj", "Wqkv")] = torch.cat(parts)
        elif "attn.k_proj" not in name and "attn.v_proj" not in name:
            state[name] = tensor
    return state
