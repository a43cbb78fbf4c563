"""Masked language modelling against logits at all positions and ignored labels, as transformers computes it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from stages.pretrain import masking
from stages.pretrain.sequences import Text
from tests.pretrain import made
from tests.pretrain.corpus import vocabulary
from tests.pretrain.test_masking import ids


def test_it_is_the_likelihood_at_masked_positions() -> None:
    """In training at the chosen rate, in evaluation at BERT's."""
    objective, text = made.objective_of("mlm"), ids(8, 32)
    model = made.model_of(objective, disturbed=True)
    for training, probability in ((True, 0.3), (False, 0.15)):
        batch = masking.mask(text, probability, vocabulary(), made.generator())
        labels = torch.full((8 * 32,), -100).index_copy(0, batch.positions, batch.labels)
        logits = model.logits(model.model(batch.input_ids)[-1]).flatten(0, 1)
        reference = F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        term = objective.terms(model.train(training), Text(text, None), made.generator(), torch.float32)["mlm"]
        assert term.count == len(batch.labels)
        torch.testing.assert_close(term.total, reference, rtol=1e-5, atol=1e-3)
