"""What a method can fit to a task: a backbone, and what makes answers of its states."""

from __future__ import annotations

from torch import nn

from stages.model.backbone import Backbone
from stages.model.classifier_config import ClassifierConfig


class Tunable(nn.Module):
    """A `Classifier`, or a `Generator`.

    Attributes:
        transformer: what was pre-trained.
        config: what is read of it, and what for.
    """

    transformer: Backbone
    config: ClassifierConfig

    def shrink_embeddings(self) -> None:
        """Bring embeddings to their initial size, where only a norm reads them; before all weights are trained."""
        self.transformer.shrink_embeddings()
