"""A Transformer that classifies texts, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.artifacts import atomic_folder, read_json, write_json
from stages.model import files
from stages.model.config import TransformerConfig
from stages.model.transformer import Transformer

CLASSIFIER = "classifier.json"


@dataclass(frozen=True)
class ClassifierConfig:
    """What is read from the Transformer, and what for.

    Attributes:
        labels: names of the classes, in the order of the logits.
        depths: whose hidden states are pooled; 0 is the embeddings, the last one the final norm.
        max_length: longer texts are cut, in tokens.
    """

    labels: tuple[str, ...]
    depths: tuple[int, ...]
    max_length: int


class Classifier(nn.Module):
    """Mean over real tokens at the chosen depths, each normed, side by side; then one linear layer."""

    def __init__(self, transformer: Transformer, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = transformer
        width = len(config.depths) * transformer.config.hidden_size
        self.classifier = nn.Linear(width, len(config.labels), device=transformer.device)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def features(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
        """(batch, length) -> (batch, depths x hidden_size), fp32; padding on either side is ignored."""
        states = self.transformer(input_ids, attention_mask, dtype, max(self.config.depths))
        return torch.cat([pool(states[depth], attention_mask) for depth in self.config.depths], dim=-1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(batch, length) -> logits (batch, classes), fp32."""
        return self.classifier(self.features(input_ids, attention_mask, dtype))


def pool(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over real tokens, normed: (batch, length, width) -> (batch, width), fp32."""
    weights = attention_mask.to(states.device)[..., None].float()
    mean = (states.float() * weights).sum(1) / weights.sum(1)
    return F.layer_norm(mean, mean.shape[-1:])


def depths_of(config: TransformerConfig) -> range:
    """All depths that can be pooled: embeddings, every layer, the final norm."""
    return range(config.num_hidden_layers + 2)


def save(folder: Path, model: Classifier, tokenizer: Path) -> None:
    """Write weights, configuration, labels and tokenizer: all that a prediction needs."""
    config = model.transformer.config
    with atomic_folder(folder) as temporary:
        write_json(temporary / files.CONFIG, files.transformers_config(config))
        write_json(temporary / CLASSIFIER, to_dict(model.config))
        files.save_weights(temporary / files.WEIGHTS, model.state_dict())
        files.copy_tokenizer(tokenizer, temporary)


def load(folder: Path) -> Classifier:
    """Read what `save` wrote.

    Raises:
        StageError: a file is missing or damaged.
    """
    model = Classifier(Transformer(files.load_config(folder)), load_config(folder))
    model.load_state_dict(files.load_weights(folder / files.WEIGHTS))
    return model.eval()


def to_dict(config: ClassifierConfig) -> dict[str, Any]:
    """The content of ``classifier.json``."""
    return {"labels": list(config.labels), "depths": list(config.depths), "max_length": config.max_length}


def load_config(folder: Path) -> ClassifierConfig:
    """Read ``classifier.json``."""
    content = read_json(folder / CLASSIFIER)
    return ClassifierConfig(tuple(content["labels"]), tuple(content["depths"]), content["max_length"])
