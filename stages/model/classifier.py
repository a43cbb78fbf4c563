"""A pre-trained model that classifies texts, and its files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.artifacts import atomic_folder, read_json, write_json
from stages.model import backbone, files
from stages.model.backbone import Backbone
from stages.model.dropout import Dropout

CLASSIFIER = "classifier.json"


@dataclass(frozen=True)
class ClassifierConfig:
    """What is read from the backbone, and what for.

    Attributes:
        labels: names of the classes, in the order of the outputs; none if the one output is a score.
        depths: whose hidden states are pooled; 0 is the embeddings.
        max_length: longer texts are cut, in tokens.
    """

    labels: tuple[str, ...]
    depths: tuple[int, ...]
    max_length: int

    @property
    def outputs(self) -> int:
        """How many numbers there are for a text."""
        return len(self.labels) or 1


class Classifier(nn.Module):
    """Mean over real tokens at the chosen depths, each normed, side by side; then one linear layer."""

    def __init__(self, transformer: Backbone, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = transformer
        width = len(config.depths) * transformer.hidden_size
        self.classifier = nn.Linear(width, config.outputs, device=transformer.device)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def features(
        self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype, dropout: Dropout | None = None
    ) -> Tensor:
        """(batch, length) -> (batch, depths x hidden_size), fp32; padding on either side is ignored."""
        states = self.transformer(input_ids, attention_mask, dtype, max(self.config.depths), dropout=dropout)
        return torch.cat([pool(states[depth], attention_mask) for depth in self.config.depths], dim=-1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        dtype: torch.dtype = torch.float32,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """(batch, length) -> logits (batch, classes) or scores (batch, 1), fp32."""
        return self.classifier(self.features(input_ids, attention_mask, dtype, dropout))


def pool(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over real tokens, normed: (batch, length, width) -> (batch, width), fp32."""
    weights = attention_mask.to(states.device)[..., None].float()
    mean = (states.float() * weights).sum(1) / weights.sum(1)
    return F.layer_norm(mean, mean.shape[-1:])


def save(folder: Path, model: Classifier, pretrained: Path) -> None:
    """Write weights, configuration, labels and tokenizer: all that a prediction needs.

    ``pretrained`` is the folder that the backbone was opened from; all that is not weights is as it was there.
    """
    with atomic_folder(folder) as temporary:
        describe(temporary, model.config, pretrained)
        files.save_weights(temporary / files.WEIGHTS, model.state_dict())


def describe(folder: Path, config: ClassifierConfig, pretrained: Path) -> None:
    """Write all but the weights."""
    for file in sorted(pretrained.iterdir()):
        if file.suffix != files.SUFFIX:
            shutil.copyfile(file, folder / file.name)
    write_json(folder / CLASSIFIER, to_dict(config))


def load(folder: Path) -> Classifier:
    """Read what `save` wrote.

    Raises:
        StageError: a file is missing or damaged.
    """
    model = empty(folder)
    model.load_state_dict(files.load_weights(folder / files.WEIGHTS))
    return model.eval()


def empty(folder: Path) -> Classifier:
    """A classifier of the shape of a saved one, whose weights are still to be loaded."""
    return Classifier(backbone.empty(folder), load_config(folder))


def to_dict(config: ClassifierConfig) -> dict[str, Any]:
    """The content of ``classifier.json``."""
    return {"labels": list(config.labels), "depths": list(config.depths), "max_length": config.max_length}


def load_config(folder: Path) -> ClassifierConfig:
    """Read ``classifier.json``."""
    content = read_json(folder / CLASSIFIER)
    return ClassifierConfig(tuple(content["labels"]), tuple(content["depths"]), content["max_length"])
