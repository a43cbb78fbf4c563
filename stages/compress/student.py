"""Smaller models that are taught by a larger one: some of its own layers, or a fresh block of other sizes.

Layers are taken evenly, the last one always, and each of them learns from the one that it was, so that the layer m of k
stands for the layer m · L / k of L (Sanh et al. 2019, DistilBERT, §3; Jiao et al. 2020, TinyBERT, §3.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stages.errors import StageError
from stages.model.classifier import Classifier
from stages.model.config import TransformerConfig
from stages.model.imported import Imported
from stages.model.parts import parts
from stages.model.transformer import Seq2Seq, Transformer, initialize
from stages.training import randomness


class Unteachable(Exception):
    """What keeps a model from having a student of this kind; the message says it."""


def layers(model: Classifier) -> list[str]:
    """Names of the backbone's layers, up to the last one that the head reads: none above has a say.

    Raises:
        Unteachable: it is no single stack of layers that are alike, or none of them is read.
    """
    body = model.transformer
    if not isinstance(body, Transformer | Imported) or isinstance(body, Seq2Seq) or getattr(body, "decodes", False):
        raise Unteachable(f"{type(body).__name__} is no single stack of layers")
    try:
        found = list(parts(body).layers)
    except StageError:
        raise Unteachable(f"{type(getattr(body, 'model', body)).__name__} has no list of its layers") from None
    kinds = {frozenset(body.get_submodule(name).state_dict()) for name in found}
    if isinstance(body, Imported) and len(kinds) > 1:
        raise Unteachable(f"the layers of {type(body.model).__name__} are not alike")
    if not (read := found[: max(model.config.depths)]):
        raise Unteachable("its head reads no layer, but embeddings alone")
    return read


def pairs(teachers: int, students: int) -> list[int]:
    """Of each depth of a student, the embeddings first, that of the teacher which it stands for."""
    return [depth * teachers // students for depth in range(students + 1)]


def thin(model: Classifier, count: int) -> None:
    """Leave ``count`` of the layers, and of the head what reads them, in place."""
    names, body = layers(model), model.transformer
    assert isinstance(body, Transformer | Imported)
    chosen = pairs(len(names), count)
    kept = nn.ModuleList(body.get_submodule(names[depth - 1]) for depth in chosen[1:])
    body.set_submodule(names[0].rpartition(".")[0], kept)
    moved = {old: new for new, old in enumerate(chosen)}
    if isinstance(body, Imported):
        _number(kept)
        body.model.config.num_hidden_layers = count
        body.depths = range(count + 1)
    else:
        moved[len(names) + 1] = count + 1
    read = [place for place, depth in enumerate(model.config.depths) if depth in moved]
    weight = model.classifier.weight.detach().unflatten(1, (len(model.config.depths), -1))[:, read].flatten(1)
    model.config = replace(model.config, depths=tuple(moved[model.config.depths[place]] for place in read))
    _give_head(model, weight, model.classifier.bias.detach())


def _number(kept: nn.ModuleList) -> None:
    """Let each layer's parts know its place, where transformers tells them, for decoders keep keys and values by it."""
    for place, layer in enumerate(kept):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = place  # type: ignore[assignment]


def fresh(model: Classifier, sizes: dict[str, Any], seed: int) -> None:
    """Put an encoder of these sizes in the backbone's place, with a head on all its depths, in place.

    Its embeddings begin as the principal directions of those that were there; the norm behind them gives them a size.
    """
    table = vocabulary(model)
    config = TransformerConfig(vocab_size=len(table), **sizes)
    body = Transformer(config)
    initialize(body, randomness.torch_generator(seed, "compress-student"))
    with torch.no_grad():
        directions = torch.linalg.eigh(table.T @ table).eigenvectors.flip(1)[:, : config.hidden_size]
        body.embeddings.tok_embeddings.weight[:, : directions.shape[1]] = table @ directions
        body.shrink_embeddings()
    model.transformer, model.pooler = body, None
    model.config = replace(model.config, depths=tuple(body.depths), finish="norm")
    outputs, width = model.config.outputs, len(body.depths) * config.hidden_size
    _give_head(model, torch.zeros(outputs, width), torch.zeros(outputs))


def vocabulary(model: Classifier) -> Tensor:
    """The table that tokens are looked up in, (ids, width)."""
    body = model.transformer
    if isinstance(body, Transformer):
        return body.embeddings.tok_embeddings.weight.detach()
    if not isinstance(body, Imported):
        raise Unteachable(f"{type(body).__name__} has more than a table of tokens")
    found = body.model.get_input_embeddings()
    assert isinstance(found, nn.Embedding)
    return found.weight.detach()


def _give_head(model: Classifier, weight: Tensor, bias: Tensor) -> None:
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.weight, head.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    model.classifier = head
