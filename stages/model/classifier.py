"""A pre-trained model that classifies texts, and its files."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.artifacts import atomic_folder, read_json, write_json
from stages.model import backbone, files
from stages.model.backbone import Backbone
from stages.model.classifier_config import ClassifierConfig
from stages.model.dropout import Dropout
from stages.model.generation import Search
from stages.model.imported import Imported
from stages.model.tunable import Tunable
from stages.params import Pooling

CLASSIFIER = "classifier.json"


class Classifier(Tunable):
    """States pooled over real tokens at the chosen depths, side by side; then one linear layer."""

    def __init__(self, transformer: Backbone, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = transformer
        self.pooler = _pooler(transformer) if config.finish == "pooler" else None
        width = len(config.depths) * transformer.hidden_size
        self.classifier = nn.Linear(width, config.outputs, device=transformer.device)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def features(
        self, input_ids: Tensor, attention_mask: Tensor, dtype: torch.dtype, dropout: Dropout | None = None
    ) -> Tensor:
        """(batch, length) -> (batch, depths x hidden_size), fp32; padding on either side is ignored.

        Where nothing is pooled, (batch, length, depths x hidden_size).
        """
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        real = attention_mask.gather(1, order)  # all padding is on the right, so that no position depends on it
        given, depth, first = input_ids.gather(1, order), max(self.config.depths), self.config.pooling == "first"
        states = self.transformer(given, real, dtype, depth, dropout=dropout, first=first)
        chosen = [states[depth].float() for depth in self.config.depths]
        if self.config.pooling == "none":
            back = order.argsort(dim=1).to(chosen[0].device)[..., None]
            chosen = [state.gather(1, back.expand_as(state)) for state in chosen]
        else:
            chosen = [pool(state, real, self.config.pooling) for state in chosen]
        return torch.cat([self.finished(state) for state in chosen], dim=-1)

    def finished(self, pooled: Tensor) -> Tensor:
        """What was pooled (batch, width), as the head reads it."""
        if self.pooler is not None:
            finished: Tensor = self.pooler(pooled[:, None])  # most take the first of a text's states by themselves
            return finished.flatten(1)
        return F.layer_norm(pooled, pooled.shape[-1:]) if self.config.finish == "norm" else pooled

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        dtype: torch.dtype = torch.float32,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """(batch, length) -> logits (batch, classes) or scores (batch, 1), fp32; of words (batch, length, classes)."""
        features = self.features(input_ids, attention_mask, dtype, dropout)
        return self.classifier(dropout(features) if dropout else features)


def _pooler(transformer: Backbone) -> nn.Module:
    assert isinstance(transformer, Imported)
    assert transformer.pooler is not None
    return transformer.pooler.to(transformer.device)


def pool(states: Tensor, attention_mask: Tensor, pooling: Pooling) -> Tensor:
    """One state of a text's own: (batch, length, width), padded on the right -> (batch, width)."""
    real = attention_mask.to(states.device)
    if pooling == "mean":
        weights = real[..., None].to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)
    places = real.sum(1) - 1 if pooling == "last" else torch.zeros_like(real[:, 0])
    return states[torch.arange(len(states), device=states.device), places]


def save(folder: Path, model: Tunable, pretrained: Path) -> None:
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
    config = load_config(folder)
    return Classifier(backbone.empty(folder, config.pooling), config)


def to_dict(config: ClassifierConfig) -> dict[str, Any]:
    """The content of ``classifier.json``."""
    return {**asdict(config), "labels": list(config.labels), "depths": list(config.depths)}


def load_config(folder: Path) -> ClassifierConfig:
    """Read ``classifier.json``."""
    content = read_json(folder / CLASSIFIER)
    lists = {name: tuple(content[name]) for name in ("labels", "depths")}
    search = Search(**content["search"]) if content.get("search") else None
    return ClassifierConfig(**{**content, **lists, "search": search})
