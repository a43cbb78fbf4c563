"""What each token adds to an answer: integrated gradients by Captum (Sundararajan et al. 2017, §3), and attention.

The path goes from a text of padding between the same first and last token to the text itself, in the embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stages.diagnose.asking import Text
from stages.diagnose.schema import Attribution
from stages.model.classifier import Classifier
from stages.model.imported import Imported
from stages.model.transformer import Attention, Seq2Seq, Transformer
from stages.predict.predictor import Predictor

LONGEST, STEPS, DIGITS = 48, 64, 5
"""Tokens of a text that are looked at, steps of the integral, and digits that are kept of it."""


def attributions(
    predictor: Predictor, texts: Sequence[Text], labels: Sequence[int], names: Sequence[str]
) -> list[Attribution]:
    """Of the beginning of each text; none for models without one table that all tokens are looked up in."""
    model = predictor.model
    table = token_table(model) if isinstance(model, Classifier) else None
    if table is None or not isinstance(model, Classifier):
        return []
    return [_attributed(predictor, model, table, text, names[label]) for text, label in zip(texts, labels, strict=True)]


def token_table(model: Classifier) -> nn.Embedding | None:
    """What looks up the tokens of a text, each once."""
    transformer = model.transformer
    if isinstance(transformer, Transformer) and not isinstance(transformer, Seq2Seq):
        return transformer.embeddings.tok_embeddings
    if isinstance(transformer, Imported) and not transformer.decodes:
        found = transformer.model.get_input_embeddings()
        return found if isinstance(found, nn.Embedding) else None
    return None


def _attributed(predictor: Predictor, model: Classifier, table: nn.Embedding, text: Text, label: str) -> Attribution:
    from captum.attr import LayerIntegratedGradients

    ids, tokens = predictor.tokens(text, LONGEST)
    mask, blank = torch.ones_like(ids), ids.clone()
    blank[:, 1:-1] = predictor.pad_id
    with torch.no_grad():
        answer = int(model(ids, mask).argmax())
    method = LayerIntegratedGradients(lambda given, seen: model(given, seen), table)
    found, gap = method.attribute(
        ids, blank, target=answer, additional_forward_args=(mask,), n_steps=STEPS,
        return_convergence_delta=True, internal_batch_size=STEPS,
    )  # fmt: skip
    return Attribution(
        label=label,
        prediction=predictor.labels[answer],
        tokens=tokens,
        scores=[round(value, DIGITS) for value in found[0].sum(-1).tolist()],
        gap=round(float(gap), DIGITS),
        attention=attention(model, lambda: model(ids, mask)),
    )


@torch.no_grad()
def attention(model: nn.Module, run: Callable[[], Tensor]) -> list[list[list[float]]]:
    """(layers, queries, keys), the mean over heads of each of our layers while ``run`` runs the model on one text."""
    found: list[list[list[float]]] = []

    def look(layer: nn.Module, given: tuple[Tensor, tuple[Tensor, Tensor], Tensor | None]) -> None:
        assert isinstance(layer, Attention)
        states, position, mask = given
        query, key, _ = layer.read(states, position)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        weights = (scores if mask is None else scores + mask).softmax(-1).mean(1)[0]
        found.append([[round(value, DIGITS) for value in row] for row in weights.tolist()])

    layers = [module for module in model.modules() if isinstance(module, Attention)]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found
