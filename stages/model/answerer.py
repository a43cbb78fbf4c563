"""What a tuned model can be: both kinds take token ids and give outputs of a task."""

from __future__ import annotations

from stages.model.classifier import Classifier
from stages.model.prompted import Prompted

Answerer = Classifier | Prompted
"""A head on a backbone, or a language model that is asked in words."""
