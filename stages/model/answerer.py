"""What a tuned model can be."""

from __future__ import annotations

from stages.model.prompted import Prompted
from stages.model.tunable import Tunable

Answerer = Tunable | Prompted
"""What was fitted, or a language model that is asked in words."""
