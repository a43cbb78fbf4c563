"""A student of fewer layers, or a smaller one, learns the task from its labels and from its teacher.

After Sanh et al. 2019, DistilBERT, and Jiao et al. 2020, TinyBERT: on texts of the corpus, which nobody has labelled,
where some are asked for (TinyBERT's general distillation, §3.2, but from the tuned teacher), and then on the task's
training texts. What there is to learn is in `stages.compress.lessons`, what students there are in
`stages.compress.student`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from stages import params
from stages.compress import student
from stages.compress.base import Compressor, Material, Shape
from stages.compress.lessons import Lesson, Lessons
from stages.compress.pruning import classifier
from stages.compress.recovery import TEMPERATURE, Training, fit
from stages.compress.student import Unteachable
from stages.compress.units import Unfit
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier

WHOLE_TEXTS = ("classification", "regression")
"""Families of tasks whose answers are about a text as a whole, so that any text can be asked about."""


class Distill(Compressor):
    """The model as it comes to this step is the teacher."""

    class Options(Training):
        """``num_hidden_layers``: how many layers of the teacher's make the student; or ``model``: the sizes of a fresh
        one, as `params.yaml: model` has them. ``losses`` are added to that of the labels. ``texts`` of the corpus are
        seen once, before the task.
        """

        num_hidden_layers: Annotated[int, Field(ge=1)] | None = None
        model: params.Model | None = None
        losses: tuple[Lesson, ...] = ("logits", "hidden")
        temperature: Annotated[float, Field(gt=0)] = TEMPERATURE
        texts: Annotated[int, Field(ge=0)] = 0

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            if (self.num_hidden_layers is None) == (self.model is None):
                raise ValueError("give one of num_hidden_layers, model")
            return self

    @property
    def trains(self) -> bool:
        return True

    def refusal(self, before: Sequence[str]) -> str | None:
        if self.options.model is not None and before:
            return f"model: a fresh one has nothing left of {', '.join(before)}: put this step first"
        return None

    def compress(self, model: Answerer, material: Material) -> Shape:
        taught = classifier(self, model)
        teacher = copy.deepcopy(taught)
        self._become(taught, material.seed)
        try:
            lessons = Lessons(teacher, taught, self.options.losses, self.options.temperature, material)
        except (Unteachable, Unfit) as reason:
            raise self.unfit(f"losses: {reason}: take logits alone") from None
        if self.options.texts:
            self._learn_unlabelled(taught, lessons, material)
        fit(taught, material, self.options, lessons, "student", lessons.maps)
        return {}

    def _learn_unlabelled(self, taught: Classifier, lessons: Lessons, material: Material) -> None:
        """What the teacher says of texts that belong to no task."""
        if (family := material.family.task.family) not in WHOLE_TEXTS:
            raise self.unfit(f"texts: in {family} an answer is more than one of a whole text: leave it out")
        once = self.options.model_copy(update={"epochs": 1})
        fit(taught, material.unlabelled(self.options.texts), once, lessons.unlabelled, "student-texts", lessons.maps)

    def shape(self, model: Answerer, shape: Shape) -> None:
        self._become(classifier(self, model), 0)

    def _become(self, model: Classifier, seed: int) -> None:
        """Give the model the student's modules."""
        try:
            if self.options.model is not None:
                student.fresh(model, self.options.model.sizes(), seed)
                return
            there = len(student.layers(model))
            if self.options.num_hidden_layers > there:
                raise self.unfit(f"num_hidden_layers: the model has only {there} that its head reads")
            student.thin(model, self.options.num_hidden_layers)
        except Unteachable as reason:
            raise self.unfit(f"{reason}: leave this step out") from None
