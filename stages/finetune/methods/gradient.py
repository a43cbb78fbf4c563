"""What all methods share that train by gradient; they differ in what is trained, and at which rate.

The head begins as a logistic (of scores, a ridge) regression on the features that are there (Kumar et al. 2022,
Fine-Tuning Can Distort Pretrained Features, §4): one that knows nothing yet would turn them, in its first steps, into
whatever it says. As such, on the last states alone, it can be had all the same (Devlin et al. 2019, BERT, §3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from stages import params
from stages.errors import Inapplicable, StageError
from stages.finetune.methods import probe
from stages.finetune.methods.base import Job, Method, Tuned
from stages.finetune.workload import Finetuning, Regime
from stages.model import files
from stages.model.backbone import Backbone
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.generator import Generator
from stages.model.imported import Imported
from stages.model.transformer import Transformer
from stages.model.tunable import Tunable
from stages.training import randomness
from stages.training.loop import Plan, train
from stages.training.loss import Term
from stages.training.optimizer import Group, Optimizers, grouped

HEAD = ("classifier.", "pooler.", "head.")
"""What stands on the transformer."""

HEAD_STD = 0.02
"""Of a head that is drawn, as of all that BERT draws."""

Share = Annotated[float, Field(ge=0, lt=1)]


class Gradient(Method):
    """Trained on pooled states; the epoch that scores best on validation is kept.

    Attributes:
        whole: whether every weight is trained, so that all of them are what is to be written.
    """

    whole: ClassVar[bool] = False

    class Options(params.Section):
        """``head``: ``probe`` reads all depths and begins as the best regression on them; ``drawn`` reads the last one
        as the classes for sequence classification of transformers do, pooled by the first token through the
        checkpoint's own pooler where it has one, and begins at random.
        ``patience``: epochs without a better score on validation after which to stop.

        ``imported_learning_rate``: of checkpoints that were trained elsewhere, whose weights are of another size.
        ``schedule``: after the warm-up the rate falls to zero in a line or in half a wave, as transformers has it;
        ``triangle`` is the lower of two lines, one rising over the warm-up, one falling over the whole run.
        ``gradient_accumulation``: into how many parts a batch is cut that does not fit into memory; the step is that of
        the whole.
        """

        learning_rate: Annotated[float, Field(gt=0)]
        imported_learning_rate: Annotated[float, Field(gt=0)]
        epochs: Annotated[int, Field(ge=1)]
        batch_size: Annotated[int, Field(ge=1)]
        warmup: Share
        weight_decay: Annotated[float, Field(ge=0)]
        patience: Annotated[int, Field(ge=1)]
        optimizer: Literal["adamw", "sgd"] = "adamw"
        schedule: Literal["triangle", "linear", "cosine"] = "triangle"
        label_smoothing: Share = 0.0
        dropout: Share = 0.0
        gradient_accumulation: Annotated[int, Field(ge=1)] = 1
        max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
        head: Literal["probe", "drawn"] = "probe"

    def fit(self, transformer: Backbone, job: Job) -> Tuned:
        self._check(job)
        model = self._model(transformer, job).eval()
        is_own = isinstance(transformer, Transformer)
        learning_rate = self.options.learning_rate if is_own else self.options.imported_learning_rate
        self.attach(model, job.seed)
        self.prepare(model)
        if isinstance(model, Classifier):
            self._begin(model, job)
        workload = Finetuning(model, job, self._regime(model))
        optimizers = self.optimizers(model, learning_rate, self.options.epochs * workload.steps_per_epoch)
        curve = train(workload, optimizers, self._plan(workload.steps_per_epoch), job.checkpoint, job.observer)
        trained = _trained(model)
        names = None if self.whole else frozenset(name for name, _ in trained)
        return Tuned(model, sum(parameter.numel() for _, parameter in trained), curve, names)

    def _model(self, transformer: Backbone, job: Job) -> Tunable:
        if not job.family.writes:
            return Classifier(transformer, self._config(transformer, job))
        if not isinstance(transformer, Transformer):
            raise Inapplicable("checkpoints that were trained elsewhere are not taught to write texts here")
        return Generator(transformer, files.load(job.pretrained).head.to(transformer.device), job.reading(transformer))

    def _begin(self, model: Classifier, job: Job) -> None:
        """Give the model the head that it begins with."""
        if self.options.head == "drawn":
            _draw(model, job.seed)
        elif job.family.probed:
            _probe(model, job)

    def _config(self, transformer: Backbone, job: Job) -> ClassifierConfig:
        config = job.reading(transformer)
        if self.options.head == "probe":
            return config
        has_pooler = isinstance(transformer, Imported) and transformer.pooler is not None
        through_it = has_pooler and job.pooling == "first"
        return replace(config, depths=config.depths[-1:], finish="pooler" if through_it else "none")

    def prepare(self, model: Tunable) -> None:
        """Leave only those parameters to be trained that the method trains; all of them unless overridden."""

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Whether weight decay pulls at a parameter; not at norms and biases."""
        return parameter.ndim >= 2

    def factors(self, model: Tunable) -> Mapping[str, float]:
        """What the learning rate of a parameter is multiplied by; of those that are not named, 1."""
        return {}

    def penalties(self, model: Tunable) -> Mapping[str, Term]:
        """What is minimised beside the task's loss."""
        return {}

    def optimizers(self, model: Tunable, learning_rate: float, steps: int) -> Optimizers:
        """What steps the parameters, ``steps`` times."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        factors = self.factors(model)
        for name, parameter in _trained(model):
            decay = self.options.weight_decay if self.decays(name, parameter) else 0.0
            groups.setdefault((learning_rate * factors.get(name, 1.0), decay), []).append(parameter)
        return grouped(self.options.optimizer, [Group(parameters, *key) for key, parameters in groups.items()])

    def _check(self, job: Job) -> None:
        if self.options.label_smoothing and not job.family.task.labels:
            raise StageError(
                f"params.yaml: methods: label_smoothing is {self.options.label_smoothing}, but this task's labels are "
                "scores, which have no classes to share with: set it to 0"
            )

    def _regime(self, model: Tunable) -> Regime:
        return Regime(
            batch_size=self.options.batch_size,
            parts=self.options.gradient_accumulation,
            label_smoothing=self.options.label_smoothing,
            dropout=self.options.dropout,
            penalties=lambda: self.penalties(model),
        )

    def _plan(self, steps_per_epoch: int) -> Plan:
        is_triangle = self.options.schedule == "triangle"
        return Plan(
            steps=self.options.epochs * steps_per_epoch,
            evaluations=self.options.epochs,
            warmup=self.options.warmup,
            decay=1.0 if is_triangle else 1 - self.options.warmup,
            max_grad_norm=self.options.max_grad_norm,
            best_by="score",
            patience=self.options.patience,
            shape="cosine" if self.options.schedule == "cosine" else "trapezoid",
        )


def only(model: Tunable, names: Iterable[str]) -> None:
    """Leave the head to be trained and, of all else, just the parameters of these names."""
    chosen = set(names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen or name.startswith(HEAD))


def _trained(model: Tunable) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _draw(model: Classifier, seed: int) -> None:
    """Give the model a head that knows nothing."""
    generator = randomness.torch_generator(seed, "finetune-head")
    drawn = torch.normal(0.0, HEAD_STD, model.classifier.weight.shape, generator=generator)
    with torch.no_grad():
        model.classifier.weight.copy_(drawn)


def _probe(model: Classifier, job: Job) -> None:
    """Give the model the head that fits its features best."""
    train, validation = (probe.read(model, job.family, part, job.dtype) for part in (job.train, job.validation))
    probe.fit(train.at(slice(None)), validation.at(slice(None)), job.family).give(model)
