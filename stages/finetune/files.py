"""Tuned models on disk: whole, or what was trained alone, to be put onto the pre-trained model again.

Of a language model that is asked in words nothing was trained: what stands beside the pre-trained one is the prompt.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Self

from stages import artifacts, paths
from stages.artifacts import atomic_folder, read_json, write_json
from stages.errors import StageError
from stages.finetune import methods
from stages.finetune.methods.base import Method, Tuned
from stages.model import backbone, classifier, files
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.generator import Generator
from stages.model.prompted import Prompt, Prompted
from stages.model.transformer import LanguageModel, PredictionHead, Transformer
from stages.model.tunable import Tunable
from stages.params import Section, parse

ADAPTER, DESCRIPTION, PROMPT = f"adapter{files.SUFFIX}", "adapter.json", "prompt.json"
GRAPH = ".onnx"


class Belonging(Section):
    """The pre-trained model that something was made for.

    Attributes:
        base: name of its folder, ``<objective>-<seed>``.
        weights: the hash of its weights.
    """

    base: str
    weights: str

    @classmethod
    def to(cls, pretrained: Path, **content: Any) -> Self:
        """``content``: what else is noted."""
        return cls(base=pretrained.name, weights=artifacts.md5(pretrained / files.WEIGHTS), **content)

    def find(self, folder: Path) -> Path:
        """The model's folder.

        Raises:
            StageError: other weights lie there than those that what ``folder`` holds was made for.
        """
        base = paths.MODELS / "pretrained" / self.base
        if artifacts.md5(base / files.WEIGHTS) != self.weights:
            raise StageError(f"{folder} was made for other weights than {base} holds: run `dvc repro`")
        return base


class Asked(Belonging):
    """How a language model is asked in words."""

    prompt: Prompt


class Description(Belonging):
    """What an adapter is: the method that trained it, and its options."""

    method: str
    options: dict[str, Any]

    def of(self) -> Method:
        """The method that trained it."""
        kind = methods.get(self.method)
        return kind(parse(kind.Options, self.options, DESCRIPTION))


def save(folder: Path, tuned: Tuned, name: str, method: Method, pretrained: Path) -> None:
    """Write what was trained, beside all of ``pretrained`` that is not weights.

    Args:
        name: of the method.
        pretrained: the folder that the backbone was opened from.
    """
    model, state = tuned.model, tuned.model.state_dict()
    if isinstance(model, Tunable) and tuned.trained is None:
        classifier.save(folder, model, pretrained)
        return
    with atomic_folder(folder) as temporary:
        classifier.describe(temporary, model.config, pretrained)
        if isinstance(model, Prompted):
            write_json(temporary / PROMPT, Asked.to(pretrained, prompt=model.prompt).model_dump())
        else:
            description = Description.to(pretrained, method=name, options=method.options.model_dump())
            write_json(temporary / DESCRIPTION, description.model_dump())
            files.save_weights(temporary / ADAPTER, {tensor: state[tensor] for tensor in tuned.trained or ()})


def load(folder: Path) -> Answerer:
    """Read what `save` or `stand_alone` wrote.

    Raises:
        StageError: a file is missing or damaged, or the pre-trained model is not the one that was tuned.
    """
    if (folder / PROMPT).is_file():
        return _prompted(folder)
    if (folder / files.WEIGHTS).is_file():
        model = empty(folder)
        model.load_state_dict(files.load_weights(folder / files.WEIGHTS))
        return model.eval()
    description = _description(folder)
    config = classifier.load_config(folder)
    model = _on(description.find(folder / ADAPTER), config)
    description.of().attach(model, 0)
    trained = files.load_weights(folder / ADAPTER)
    model.load_state_dict({**model.state_dict(), **trained})
    return model.eval()


def empty(folder: Path) -> Answerer:
    """A model of the shape of a saved one, whose weights are still to be loaded."""
    if (folder / PROMPT).is_file():
        return Prompted(
            LanguageModel(files.load_config(folder)), _asked(folder).prompt, classifier.load_config(folder)
        ).eval()
    model = _empty(folder, classifier.load_config(folder))
    if (folder / DESCRIPTION).is_file():
        _description(folder).of().attach(model, 0)
    return model


def _on(pretrained: Path, config: ClassifierConfig) -> Tunable:
    """A pre-trained model with what stands on it."""
    transformer = backbone.load(pretrained, config.pooling)
    if config.search is None:
        return Classifier(transformer, config)
    assert isinstance(transformer, Transformer)
    return Generator(transformer, files.load(pretrained).head, config)


def _empty(folder: Path, config: ClassifierConfig) -> Tunable:
    transformer = backbone.empty(folder, config.pooling)
    if config.search is None:
        return Classifier(transformer, config)
    assert isinstance(transformer, Transformer)
    return Generator(transformer, PredictionHead(transformer.config), config)


def stand_alone(source: Path, folder: Path) -> None:
    """Copy a tuned model so that it needs no other folder: its weights, and what was attached as weights if it can be.

    ``folder`` is there already.
    """
    left_out: set[str] = set()
    if (source / PROMPT).is_file():
        base = _asked(source).find(source / PROMPT)
        shutil.copyfile(base / files.WEIGHTS, folder / files.WEIGHTS)
    elif (source / DESCRIPTION).is_file():
        model = load(source)
        assert isinstance(model, Tunable)
        left_out = {ADAPTER, DESCRIPTION} if _description(source).of().merge(model) else {ADAPTER}
        files.save_weights(folder / files.WEIGHTS, model.state_dict())
    for file in sorted(source.iterdir()):
        if file.name not in left_out:
            shutil.copyfile(file, folder / file.name)


def size(folder: Path) -> int:
    """Bytes of the weights that a folder holds, as they are or in a graph."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (files.SUFFIX, GRAPH))


def _description(folder: Path) -> Description:
    return parse(Description, read_json(folder / DESCRIPTION), str(folder / DESCRIPTION))


def _prompted(folder: Path) -> Prompted:
    """With the weights beside the prompt, or those that it was made for."""
    asked = _asked(folder)
    base = folder if (folder / files.WEIGHTS).is_file() else asked.find(folder / PROMPT)
    return Prompted(files.load(base), asked.prompt, classifier.load_config(folder)).eval()


def _asked(folder: Path) -> Asked:
    return parse(Asked, read_json(folder / PROMPT), str(folder / PROMPT))
